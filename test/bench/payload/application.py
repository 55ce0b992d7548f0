"""What gunicorn runs in the benchmark of upgrades."""

BODY = b"hello\n"


def application(environment, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))])
    return [BODY]
