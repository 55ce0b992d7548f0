"""An MCP server on standard input and output, with one tool and without a library.

Try it by hand, without bulkhead:

    echo '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' | python3 main.py
"""

import json
import sys

TOOLS = [
    {
        "name": "reverse",
        "description": "The text, backwards",
        "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    }
]


def reverse(text):
    return text[::-1]


def answer(method, params):
    """The result of a request. Raises LookupError for one that is not known."""
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "mcp-python", "version": "1"},
        }
    if method == "ping":
        return {}
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call" and params["name"] == "reverse":
        return {"content": [{"type": "text", "text": reverse(params["arguments"]["text"])}]}
    raise LookupError(f"{method} is not known here")


def main():
    # Standard output is for messages; whatever is for people goes to standard error, which is the journal's.
    print("mcp-python is there", file=sys.stderr)
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        reply = {"jsonrpc": "2.0", "id": message["id"]}
        try:
            reply["result"] = answer(message["method"], message.get("params", {}))
        except LookupError as error:
            reply["error"] = {"code": -32601, "message": str(error)}
        except (TypeError, AttributeError) as error:
            # Whatever a client asks for, the others go on.
            reply["error"] = {"code": -32602, "message": str(error)}
        print(json.dumps(reply), flush=True)


main()
