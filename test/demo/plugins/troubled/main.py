"""A plugin with two weaknesses: it answers well, unless the path of a request asks it to get stuck or to crash."""

import http.server
import os
import socket

from activity import Activity, Slot

activity = Activity()
slot = Slot(activity)


class Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        request = slot.begin(self.path)
        if self.path == "/stuck":
            os.read(os.pipe()[0], 1)  # nobody will ever write into it
        if self.path == "/crash":
            os.abort()
        body = b"well\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        slot.end(request)

    def log_message(self, *_):
        """The journal needs no line for each request."""


class Server(http.server.HTTPServer):
    def service_actions(self):
        activity.tick()


server = Server(("127.0.0.1", 0), Request, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
server.socket.setblocking(False)  # another sandbox may be faster
server.serve_forever()
