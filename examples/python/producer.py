"""A producer over HTTP, with Python's standard library alone: it has the words of texts counted, and waits for the numbers.

    PGMILL_URL=http://localhost:8080/api python3 producer.py words "to be or not to be" "that is the question"

Each task has an idempotency key: if it is not known whether a task was created, creating it once more creates no second one.
"""
import json, os, sys, time, urllib.error, urllib.request, uuid

URL = os.environ.get("PGMILL_URL", "http://localhost:8080/api")
TOKEN = os.environ.get("PGMILL_TOKEN")


def call(method, path, body=None, timeout=30):
    request = urllib.request.Request(URL + path, method=method, headers={"Content-Type": "application/json"})
    if TOKEN:
        request.add_header("Authorization", f"Bearer {TOKEN}")
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(request, data, timeout) as response:
        return json.load(response)


def patiently(what, tries=5):
    """Tries again while the server is away or busy."""
    for attempt in range(tries):
        try:
            return what()
        except OSError as error:  # An HTTPError is one.
            if attempt + 1 == tries or getattr(error, "code", 503) < 500:
                raise
            time.sleep(2**attempt)


def ensure_queue(name):
    try:
        call("POST", "/queue", {"queue": name, "ttl": "1h", "retries": 5, "retry_delay": "1s"})
    except urllib.error.HTTPError as error:
        if error.code != 409:  # It is there already.
            raise


def result(id):
    while True:
        task = patiently(lambda: call("GET", f"/task/{id}"))
        if task["status"] not in ("new", "retry", "retained"):
            return task
        time.sleep(0.2)


queue, texts = sys.argv[1], sys.argv[2:]
patiently(lambda: ensure_queue(queue))
seconds = float(os.environ.get("SECONDS", "0"))
tasks = [{"queue": queue, "payload": {"text": text, "seconds": seconds}, "key": str(uuid.uuid4())} for text in texts]
created = patiently(lambda: call("POST", "/task", tasks))
for text, task in zip(texts, created["body"]):
    print(f"task {task['id']}: {text}", flush=True)
for task in created["body"]:
    ended = result(task["id"])
    print(f"task {ended['id']}: {ended['status']} {json.dumps(ended.get('result'))}", flush=True)
