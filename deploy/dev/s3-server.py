"""moto as an S3 server that serves one request at a time, and fails as often as it is asked to.

usage: s3-server.py PID BUCKET FAIL_PERCENT SEED

One at a time, since moto looks for an object and puts it in two steps: with threads, two conditional puts could both succeed,
which S3 rules out. It ends when the process PID is gone.
"""

import os
import random
import sys
import threading
import time

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class Failing:
    """Refuses some requests before they are served, and drops the answers of others after."""

    def __init__(self, app, percent, seed):
        self.app, self.percent, self.random = app, percent, random.Random(seed)

    def __call__(self, environ, start_response):
        fails = self.random.random() * 100 < self.percent
        # The bucket is made before anything fails.
        if not fails or environ["PATH_INFO"].count("/") < 2:
            return self.app(environ, start_response)
        if self.random.random() < 0.5:
            start_response("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>injected</Message></Error>"]
        for _ in self.app(environ, lambda *_: None):
            pass
        # Served, and nobody learns of it: the connection ends without an answer.
        raise ConnectionResetError("injected")


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


def main():
    pid, bucket, percent, seed = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
    app = Failing(DomainDispatcherApplication(create_backend_app), percent, seed)
    server = make_server("127.0.0.1", 0, app, threaded=False, request_handler=Quiet)

    def watch():
        while os.path.exists(f"/proc/{pid}"):
            time.sleep(0.5)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    from moto.s3.models import s3_backends

    s3_backends["123456789012"]["global"].create_bucket(bucket, "us-east-1")
    print(f"port {server.port}", flush=True)
    threading.Event().wait()


main()
