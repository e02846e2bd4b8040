"""The same small site written with each framework, so that one set of tests can ask all of them the same.

    GET  /hello                 text: Hello, world!
    GET  /greet/NAME            text: Hello, NAME!
    *    /inspect               JSON: what the application saw of the request
    POST /form, /json           JSON: what the framework made of the body
    POST /upload                JSON: size and sha256 of the body, read at once
    POST /stream-up             the same, read piece by piece
    GET  /stream-down?gate=P    text, chunked: first, then (when the test opens the gate) last
    GET  /file?path=P           the file's bytes
    GET  /cookies               text, with two Set-Cookie fields
    GET  /no-content            status 204
    GET  /meet                  text: answers only when two of these requests are in the application at once
    GET  /error                 raises before the answer has begun
    GET  /error-midway          raises after its first piece
    GET  /state                 JSON: what start-up left behind (ASGI)

Everything else is 404.
"""
