from __future__ import annotations

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPNoContent
from pyramid.response import FileResponse, Response

from tests.frameworks.apps import site


def hello(request):
    return Response(site.GREETING)


def greet(request):
    return Response(f"Hello, {request.matchdict['name']}!")


def inspect(request):
    return {
        "method": request.method,
        "path": request.path_info,
        "query": request.query_string,
        "arguments": request.GET.dict_of_lists(),
        "client": request.remote_addr,
        "scheme": request.scheme,
        "host": request.host,
        "tags": request.headers.get("X-Tag"),
    }


def form(request):
    return request.POST.dict_of_lists()


def multipart(request):
    upload = request.POST["upload"]
    return {
        "filename": upload.filename,
        "note": request.POST["note"],
        **site.digest([upload.file.read()]),
    }


def json(request):
    return request.json_body


def upload(request):
    return site.digest([request.body])


def stream_up(request):
    return site.digest(iter(lambda: request.body_file.read(1000), b""))


def stream_down(request):
    return Response(app_iter=site.two_pieces(request.GET["gate"]), content_type="text/plain")


def file(request):
    return FileResponse(request.GET["path"], request=request, content_type="application/octet-stream")


def cookies(request):
    response = Response("two cookies")
    for name, value in site.COOKIES:
        response.set_cookie(name, value)
    return response


def no_content(request):
    return HTTPNoContent()


def meet(request):
    site.meeting.wait(site.MEETING_TIMEOUT)
    return Response("met")


def error(request):
    raise site.DeliberateError


def error_midway(request):
    return Response(app_iter=site.piece_and_error(), content_type="text/plain")


VIEWS = {
    "/hello": hello,
    "/greet/{name}": greet,
    "/stream-down": stream_down,
    "/file": file,
    "/cookies": cookies,
    "/no-content": no_content,
    "/meet": meet,
    "/error": error,
    "/error-midway": error_midway,
}
JSON_VIEWS = {
    "/inspect": inspect,
    "/form": form,
    "/multipart": multipart,
    "/json": json,
    "/upload": upload,
    "/stream-up": stream_up,
}


def make_app():
    """A factory: the server is told to call it."""
    with Configurator() as config:
        for path, view in (VIEWS | JSON_VIEWS).items():
            config.add_route(path, path)
            config.add_view(view, route_name=path, renderer="json" if path in JSON_VIEWS else None)
        return config.make_wsgi_app()
