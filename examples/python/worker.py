"""A worker over HTTP, with Python's standard library alone: it counts the words of texts.

    PGMILL_URL=http://localhost:8080/api python3 worker.py words

Replace `handle`. A task is held under a lease, which is extended while `handle` runs. A worker that dies or stands
still loses it, and the task goes to another one; what this one reports afterwards is refused, and nothing is done twice.
"""
import json, os, signal, socket, sys, threading, time, urllib.parse, urllib.request

URL = os.environ.get("PGMILL_URL", "http://localhost:8080/api")
TOKEN = os.environ.get("PGMILL_TOKEN")
LEASE = float(os.environ.get("LEASE", "30"))  # seconds
NAME = f"python-{socket.gethostname()}-{os.getpid()}"
stopping = threading.Event()


def handle(payload):
    time.sleep(payload.get("seconds", 0))
    return {"words": len(payload["text"].split())}


def call(method, path, body=None, timeout=30):
    request = urllib.request.Request(URL + path, method=method, headers={"Content-Type": "application/json"})
    if TOKEN:
        request.add_header("Authorization", f"Bearer {TOKEN}")
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(request, data, timeout) as response:
        return json.load(response)


def patiently(what):
    """Tries again while the server is away, but not for longer than the lease: then the task is another worker's."""
    until = time.monotonic() + LEASE
    while True:
        try:
            return what()
        except OSError as error:  # An HTTPError is one.
            if getattr(error, "code", 503) < 500 or time.monotonic() > until:
                raise
        time.sleep(1)


def heartbeat(task, done):
    while not done.wait(LEASE / 3):
        try:
            call("POST", f"/task/{task['id']}/heartbeat", {"lease": task["lease"], "extend": f"{LEASE}s"})
        except OSError as error:  # The lease is lost, or the server is away.
            print(f"task {task['id']}: no heartbeat: {error}", flush=True)


def run(task):
    done = threading.Event()
    threading.Thread(target=heartbeat, args=(task, done), daemon=True).start()
    print(f"task {task['id']}: attempt {task['attempt']}", flush=True)
    try:
        report = {"result": handle(task["payload"])}
    except Exception as error:
        report = {"fail": True, "result": f"{type(error).__name__}: {error}"}
    finally:
        done.set()
    try:
        ended = patiently(lambda: call("PATCH", f"/task/{task['id']}", {"lease": task["lease"], **report}))
        print(f"task {task['id']}: {ended['status']}", flush=True)
    except OSError as error:  # Another attempt has it, or it has ended: this one counts for nothing.
        print(f"task {task['id']}: lost: {error}", flush=True)


for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: stopping.set())
queues = [("queue", queue) for queue in sys.argv[1:]]
query = urllib.parse.urlencode([("worker", NAME), ("n", 1), ("wait", "5s"), ("lease", f"{LEASE}s"), *queues])
while not stopping.is_set():
    try:
        for task in call("PUT", f"/task?{query}").get("body", []):
            run(task)
    except OSError as error:
        print(f"the server is away: {error}", flush=True)
        stopping.wait(1)
