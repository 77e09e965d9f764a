"""A cache inside of Swift's proxy, which is one process here: in place of a memcached server. After
`POST /forget/N` every N-th request with a token finds that it was emptied, and with it every token that was given; 0 ends this. The
answer is how often it was."""
import logging
import os
import threading
import time as clock


class Memory:
    def __init__(self):
        self.lock = threading.Lock()
        self.held = {}
        self.every, self.count, self.drops = 0, 0, 0

    def passes(self):
        """A request with a token comes."""
        with self.lock:
            self.count += 1
            if self.every and self.count % self.every == 0:
                self.held.clear()
                self.drops += 1

    def get(self, key, raise_on_error=False):
        with self.lock:
            value, ends = self.held.get(key, (None, 0))
            return None if ends and ends < clock.time() else value

    def set(self, key, value, serialize=True, time=0, min_compress_len=0, raise_on_error=False):
        with self.lock:
            self.held[key] = (value, clock.time() + time if time else 0)

    def incr(self, key, delta=1, time=0):
        value = max(0, (self.get(key) or 0) + int(delta))
        self.set(key, value, time=time)
        return value

    def decr(self, key, delta=1, time=0):
        return self.incr(key, -int(delta), time)

    def delete(self, key, server_key=None):
        with self.lock:
            self.held.pop(key, None)

    def set_multi(self, mapping, server_key, serialize=True, time=0, min_compress_len=0):
        for key, value in mapping.items():
            self.set(key, value, time=time)

    def get_multi(self, keys, server_key):
        return [self.get(key) for key in keys]


def log_to_file(conf, name, log_to_console, log_route, fmt, logger, adapted_logger):
    """Swift logs to syslog alone, and there may be none."""
    logger.addHandler(logging.FileHandler(os.path.join(conf["swift_dir"], "swift.log")))


def filter_factory(global_conf, **local_conf):
    memory = Memory()

    def of(application):
        def answer(environment, start):
            if environment["PATH_INFO"].startswith("/forget/"):
                memory.every = int(environment["PATH_INFO"].rsplit("/", 1)[1])
                text = b"%d" % memory.drops
                start("200 OK", [("Content-Length", str(len(text)))])
                return [text]
            if environment.get("HTTP_X_AUTH_TOKEN"):
                memory.passes()
            environment["swift.cache"] = memory
            return application(environment, start)

        return answer

    return of
