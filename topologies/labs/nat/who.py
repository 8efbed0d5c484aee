"""A web server that greets whoever asks by the address that the request comes from."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STAYS = True


class Greeter(BaseHTTPRequestHandler):
    """Answers every GET with the client's address."""

    protocol_version = "HTTP/1.1"  # a connection stays for the next request

    def do_GET(self) -> None:
        """Greet."""
        body = f"hello, {self.client_address[0]}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


with ThreadingHTTPServer(("", 80), Greeter) as server:
    print("READY", flush=True)
    server.serve_forever()
