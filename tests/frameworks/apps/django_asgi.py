from __future__ import annotations

import json as codec

from tests.frameworks.apps import async_site, django_settings, site

django_settings.configure(urls=__name__)

from django.core.asgi import get_asgi_application  # noqa: E402 - needs the settings
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse  # noqa: E402
from django.urls import path  # noqa: E402


async def hello(request):
    return HttpResponse(site.GREETING)


async def greet(request, name):
    return HttpResponse(f"Hello, {name}!")


async def inspect(request):
    return JsonResponse(
        {
            "method": request.method,
            "path": request.path,
            "query": request.META["QUERY_STRING"],
            "arguments": dict(request.GET.lists()),
            "client": request.META.get("REMOTE_ADDR", ""),
            "scheme": request.scheme,
            "host": request.get_host(),
            "tags": request.headers.get("X-Tag"),
        }
    )


async def form(request):
    return JsonResponse(dict(request.POST.lists()))


async def multipart(request):
    upload = request.FILES["upload"]
    content = {"filename": upload.name, "note": request.POST["note"], **site.digest(upload.chunks())}
    return JsonResponse(content)


async def json(request):
    return JsonResponse(codec.loads(request.body), safe=False)


async def upload(request):
    return JsonResponse(site.digest([request.body]))


async def stream_up(request):
    return JsonResponse(site.digest(iter(lambda: request.read(1000), b"")))


async def stream_down(request):
    return StreamingHttpResponse(async_site.two_pieces(request.GET["gate"]), content_type="text/plain")


def file(request):
    # FileResponse closes the file.
    return FileResponse(open(request.GET["path"], "rb"), content_type="application/octet-stream")


async def cookies(request):
    response = HttpResponse("two cookies")
    for name, value in site.COOKIES:
        response.set_cookie(name, value)
    return response


async def no_content(request):
    return HttpResponse(status=204)


async def meet(request):
    await async_site.meet()
    return HttpResponse("met")


async def error(request):
    raise site.DeliberateError


async def error_midway(request):
    return StreamingHttpResponse(async_site.piece_and_error(), content_type="text/plain")


async def leave(request):
    await async_site.wait_to_be_cancelled(request.GET["marks"])


urlpatterns = [
    path("hello", hello),
    path("greet/<name>", greet),
    path("inspect", inspect),
    path("form", form),
    path("multipart", multipart),
    path("json", json),
    path("upload", upload),
    path("stream-up", stream_up),
    path("stream-down", stream_down),
    path("file", file),
    path("cookies", cookies),
    path("no-content", no_content),
    path("meet", meet),
    path("error", error),
    path("error-midway", error_midway),
    path("leave", leave),
]

application = get_asgi_application()
