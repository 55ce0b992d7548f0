"""An MCP server in Python's standard library alone, with tools that go wrong in the ways that are asked for."""

import json
import os
import signal
import sys
import threading
import time

lock = threading.Lock()
waiting = {}
cancelled = []


def send(message):
    with lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def text(value):
    return {"content": [{"type": "text", "text": str(value)}]}


def ask(method, params):
    """Asks the client, and waits for what it says."""
    name = f"asked-{len(waiting)}"
    waiting[name] = done = [threading.Event(), None]
    send({"id": name, "method": method, "params": params})
    done[0].wait(10)
    return done[1]


def call(number, params):
    name, given = params["name"], params.get("arguments") or {}
    if name == "echo":
        return text(given["text"])
    if name == "pid":
        return text(os.getpid())
    if name == "file":
        with open(given["name"], encoding="utf-8") as file:
            return text(file.read())
    if name == "environment":
        return text(json.dumps(dict(os.environ)))
    if name == "die":
        os.kill(os.getpid(), getattr(signal, given["signal"]))
        time.sleep(10)
    if name == "exit":
        os._exit(given["status"])
    if name == "sleep":
        time.sleep(given["seconds"])
        return text("slept")
    if name == "bytes":
        return text("b" * given["count"])
    if name == "garbage":
        with lock:
            sys.stdout.write("this is no message\n{\"jsonrpc\": \"2.0\", \"id\": 77, \"result\": {}}\n")
            sys.stdout.flush()
        return text("said")
    if name == "progress":
        token = params["_meta"]["progressToken"]
        for step in range(given["steps"]):
            send({"method": "notifications/progress", "params": {"progressToken": token, "progress": step + 1}})
            time.sleep(0.02)
        return text(token)
    if name == "cancelled":
        return text(json.dumps(cancelled))
    if name == "announce":
        send({"method": "notifications/tools/list_changed"})
        return text("announced")
    if name == "sample":
        answer = ask("sampling/createMessage", {"messages": [], "maxTokens": 1})
        return text(json.dumps(answer))
    raise ValueError(name)


def serve(message):
    number, method, params = message["id"], message["method"], message.get("params") or {}
    if method == "initialize":
        if os.environ.get("MCP_SILENT"):
            return
        if params.get("refuse"):
            send({"id": number, "error": {"code": -32602, "message": "refused"}})
            return
        answer = {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "python", "version": str(os.getpid())},
        }
    elif method == "ping":
        answer = {}
    elif method == "tools/list":
        answer = {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}
    elif method == "tools/call":
        try:
            answer = call(number, params)
        except Exception as error:
            send({"id": number, "error": {"code": -32602, "message": repr(error)}})
            return
    else:
        send({"id": number, "error": {"code": -32601, "message": method}})
        return
    send({"id": number, "result": answer})


if os.environ.get("MCP_DIES"):
    sys.exit(int(os.environ["MCP_DIES"]))
for line in sys.stdin:
    message = json.loads(line)
    if "method" not in message:
        done = waiting[message["id"]]
        done[1] = message.get("result", message.get("error"))
        done[0].set()
    elif "id" not in message:
        if message["method"] == "notifications/cancelled":
            cancelled.append(message["params"]["requestId"])
        if message["method"] == "notifications/initialized":
            sys.stderr.write("greeted\n")
    elif message.get("params", {}).get("name") == "stuck":
        os.read(os.pipe()[0], 1)
    elif message.get("params", {}).get("name") == "block":
        # Nothing else is answered meanwhile.
        time.sleep(message["params"]["arguments"]["seconds"])
        send({"id": message["id"], "result": text("unblocked")})
    else:
        threading.Thread(target=serve, args=(message,), daemon=True).start()
