"""The `openstack` program for many command lines.

A call of the program costs seconds of imports, so a child process runs the program's own shell for each command line: this file,
started as a program by the Python of its environment, is that child.
"""
import contextlib
import importlib.metadata
import io
import json
import os
import subprocess
import sys
import traceback
import uuid


def child():
    """Reads a command line as a JSON list from each line and answers with its status and what it printed. A text instead of a
    list is a group of entry points; the answer is their names."""
    from openstackclient import shell

    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        asked = json.loads(line)
        if isinstance(asked, str):
            answer = sorted(entry.name for entry in importlib.metadata.entry_points(group=asked))
        else:
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    status = shell.main(asked)
                except SystemExit as error:
                    status = error.code
                except BaseException:
                    status = "crash"
                    traceback.print_exc()
            answer = [status, out.getvalue(), err.getvalue()]
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class Shell:
    """The program's shell; which of the commands of a group of entry points were run.

    `begin` is what stands before every command line; the names of entry points begin so too.
    """

    def __init__(self, server, label, group, begin=(), python=sys.executable, **variables):
        self.label, self.begin, self.done = label, list(begin), set()
        self.folder = os.path.join(server.home, "cli-" + label)
        os.makedirs(self.folder)
        auth = server.credentials
        environment = {
            "PATH": os.defpath, "HOME": self.folder, "LANG": "C.UTF-8", "PYTHONWARNINGS": "ignore",
            "OS_AUTH_URL": auth["auth_url"], "OS_USERNAME": auth["username"], "OS_PASSWORD": auth["password"],
            "OS_PROJECT_NAME": auth["project_name"], "OS_USER_DOMAIN_ID": auth["user_domain_id"],
            "OS_PROJECT_DOMAIN_ID": auth["project_domain_id"], "OS_IDENTITY_API_VERSION": "3",
            "OS_REGION_NAME": server.cloud["region_name"], **variables}
        self.process = subprocess.Popen(
            [python, os.path.abspath(__file__)], env=environment, cwd=self.folder, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        words = [name.split("_") for name in self._ask(group)]
        cut = len(self.begin)
        self.commands = sorted((" ".join(name[cut:]) for name in words if name[:cut] == self.begin), key=len, reverse=True)
        assert self.commands, "no entry points in " + group

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def _ask(self, what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the child ended"
        return json.loads(line)

    def call(self, words):
        """Runs a command line; gives its status and what it printed to both streams."""
        text = " ".join(words)
        self.done.add(next(one for one in self.commands if text == one or text.startswith(one + " ")))
        return self._ask([*self.begin, *words])

    def _told(self, words, status, out, err):
        return "at %s: %s: %s\n%s%s" % (self.label, " ".join(words), status, out, err)

    def __call__(self, *words):
        """What a command prints; it must succeed."""
        status, out, err = self.call(words)
        assert status == 0 and "Traceback" not in err, self._told(words, status, out, err)
        return out

    def table(self, *words):
        """What a command shows, from its JSON. Some say a sentence before it."""
        out = self(*words, "-f", "json")
        begin = min(at for at in (out.find("{"), out.find("[")) if at >= 0)
        return json.loads(out[begin:])

    def fails(self, text, *words):
        status, out, err = self.call(words)
        assert status == 1 and text in err and "Traceback" not in err, self._told(words, status, out, err)

    def file(self, value, ending=".json"):
        """A new file with a text or with JSON; gives its path."""
        path = os.path.join(self.folder, uuid.uuid4().hex + ending)
        with open(path, "w") as file:
            file.write(value if isinstance(value, str) else json.dumps(value))
        return path

    def path(self):
        return os.path.join(self.folder, uuid.uuid4().hex)

    def all_commands_were_run(self, but=()):
        left = set(self.commands) - self.done
        assert left == set(but), "not run: %s; run all the same: %s" % (
            sorted(left - set(but)), sorted(set(but) - left))


if __name__ == "__main__":
    child()
