/**
 * A plugin in Python that answers each request with what it can see, write and reach from where it runs, as JSON.
 * The payload of a sandbox is the only one that can tell; `/proc` shows the same from outside in other tests.
 */
export const PROBE = `
import http.server, json, os, socket, stat, sys

SELF = {str(os.getpid()), "self", "thread-self"}

def error(work):
    try:
        work()
        return "ok"
    except OSError as problem:
        return problem.__class__.__name__ if problem.errno is None else os.strerror(problem.errno)

def everything(top="/"):
    for directory, names, files in os.walk(top, followlinks=False):
        if directory == "/proc":
            names[:] = [name for name in names if not name.isdigit() and name not in SELF]
        yield directory, files

def try_new_file(directory):
    path = os.path.join(directory, ".probe")
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    os.close(descriptor)
    os.unlink(path)

def try_write(path):
    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY))

def writes():
    directories, files, devices, looked = [], [], [], 0
    for directory, names in everything():
        looked += 1
        if error(lambda: try_new_file(directory)) == "ok":
            directories.append(directory)
        for name in names:
            path = os.path.join(directory, name)
            try:
                mode = os.lstat(path).st_mode
            except OSError:
                continue
            if stat.S_ISLNK(mode):
                continue
            looked += 1
            if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                devices.append(path)
            elif error(lambda: try_write(path)) == "ok":
                files.append(path)
    return {"directories": sorted(directories), "files": sorted(files), "devices": sorted(devices), "looked": looked}

def connect(path):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        return error(lambda: client.connect(path))
    finally:
        client.close()

def datagram(path):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        return error(lambda: client.sendto(b"READY=1", path))
    finally:
        client.close()

def tcp(address, port):
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    client.settimeout(2)
    try:
        return error(lambda: client.connect((address, port)))
    finally:
        client.close()

def listing(path):
    try:
        return sorted(os.listdir(path))
    except OSError as problem:
        return os.strerror(problem.errno)

def text(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError as problem:
        return os.strerror(problem.errno)

def sockets():
    found = []
    for directory, names in everything():
        for name in names:
            path = os.path.join(directory, name)
            try:
                if stat.S_ISSOCK(os.lstat(path).st_mode):
                    found.append(path)
            except OSError:
                pass
    return {path: [connect(path), datagram(path)] for path in found}

def state(question):
    return {
        "pid": os.getpid(),
        "ids": [os.getuid(), os.geteuid(), os.getgid(), os.getegid()],
        "cwd": os.getcwd(),
        "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
        "kill": {str(pid): error(lambda: os.kill(pid, 9)) for pid in [1, *question["pids"]]},
        "writes": writes(),
        "sockets": sockets(),
        "connect": {path: [connect(path), datagram(path)] for path in question["sockets"]},
        "tcp": [tcp(address, port) for address, port in question["tcp"]],
        "interfaces": [line.split(":")[0].strip() for line in text("/proc/net/dev").splitlines()[2:]],
        "listings": {path: listing(path) for path in question["listings"]},
        "texts": {path: text(path) for path in question["texts"]},
        "hostname": os.uname().nodename,
        "cgroup": [line for line in text("/proc/self/cgroup").splitlines() if line.startswith("0::")],
    }

class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(state(question)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass

class Server(http.server.HTTPServer):
    def server_bind(self):
        pass

listener = socket.socket(fileno=3)
server = Server(listener.getsockname(), Answer, bind_and_activate=False)
server.socket.close()
server.socket = listener
server.serve_forever()
`;

export interface Question {
  readonly pids: readonly number[];
  readonly sockets: readonly string[];
  readonly tcp: readonly (readonly [string, number])[];
  readonly listings: readonly string[];
  readonly texts: readonly string[];
}

/** What each attempt came to: `ok`, or the error's own words (strerror(3)). */
export interface Probed {
  readonly pid: number;
  readonly ids: readonly number[];
  readonly cwd: string;
  readonly processes: readonly number[];
  readonly kill: Readonly<Record<string, string>>;
  /** Where a new file could be made, what existing files could be opened for writing, and device nodes there are. */
  readonly writes: {
    readonly directories: readonly string[];
    readonly files: readonly string[];
    readonly devices: readonly string[];
    readonly looked: number;
  };
  /** Every socket file that can be seen, and what a connection and a datagram came to. */
  readonly sockets: Readonly<Record<string, readonly string[]>>;
  readonly connect: Readonly<Record<string, readonly string[]>>;
  readonly tcp: readonly string[];
  readonly interfaces: readonly string[];
  readonly listings: Readonly<Record<string, readonly string[] | string>>;
  readonly texts: Readonly<Record<string, string>>;
  readonly hostname: string;
  readonly cgroup: readonly string[];
}

export async function ask(port: number, question: Question): Promise<Probed> {
  const answer = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: JSON.stringify(question) });
  return (await answer.json()) as Probed;
}
