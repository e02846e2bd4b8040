"""A chat room: FastAPI, WebSocket, and a page that comes back by itself when its worker is replaced.

The room is in the memory of a worker, so there is one; with more, a message broker has to stand between them.
"""

import contextlib

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse

app = FastAPI()
room: set[WebSocket] = set()

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Chat</title>
<h1>Chat</h1>
<p id="state">connecting</p>
<form id="form"><input id="text" autocomplete="off" autofocus> <button>Send</button></form>
<ul id="messages"></ul>
<script>
let socket
function show(text) {
  const item = document.createElement("li")
  item.textContent = text
  document.getElementById("messages").append(item)
}
function state(text) { document.getElementById("state").textContent = text }
function connect() {
  socket = new WebSocket(location.href.replace(/^http/, "ws") + "chat")
  socket.onopen = () => state("connected")
  socket.onmessage = event => show(event.data)
  socket.onclose = event => {
    state("closed with " + event.code)
    // 1012 (service restart) is spread by the server already; after anything else, not all at once.
    setTimeout(connect, event.code === 1012 ? 50 : 1000 + 4000 * Math.random())
  }
}
document.getElementById("form").onsubmit = event => {
  const text = document.getElementById("text")
  socket.send(text.value)
  text.value = ""
  event.preventDefault()
}
connect()
</script>
"""


@app.get("/")
async def page() -> HTMLResponse:
    return HTMLResponse(PAGE)


@app.websocket("/chat")
async def chat(socket: WebSocket) -> None:
    await socket.accept()
    room.add(socket)
    try:
        while True:
            text = await socket.receive_text()
            for member in list(room):
                # Who has just left is told so by its own task.
                with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                    await member.send_text(text)
    except WebSocketDisconnect:
        pass
    finally:
        room.discard(socket)
