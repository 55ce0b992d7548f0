"""What a client sees of a plugin, from the wire. The features that all SDKs have are driven by test/conformance; here is
what is Python's own, and what needs bounds that are not reached in passing.
"""

import contextlib
import os
import signal
import socket
import time

from serving import HANG, Serving, until


class Answers(Serving):
    program = """
import asyncio, threading
held = threading.Event()

@plugin.method
async def echo(call, x): return x

@plugin.method
def thread(call): return threading.current_thread().daemon

@plugin.method
def hold(call):
    held.wait(300)

@plugin.method
def free(call): held.set()

@plugin.method
async def release(call): held.set()

@plugin.method
def patient(call):
    while True:
        call.check()
        held.wait(0.01)

@plugin.method
async def stubborn(call):
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return "done all the same"

@plugin.method
async def alone(call):
    raise asyncio.CancelledError()

@plugin.method
async def result(call, which):
    return [2**60, {1: 2}, object(), "x\\ud800"][which]

@plugin.method
async def optional(call, a, b=2, *more): return [a, b, *more]

@plugin.stream
def steps(call, n):
    for number in range(n):
        yield threading.current_thread() is threading.main_thread()
    call.result = "end"

@plugin.stream
async def broken(call):
    yield 1
    yield {1: 2}

@plugin.method
def stop_iteration(call): next(iter([]))

@plugin.method
def leaves(call): raise SystemExit(3)
"""

    def test_runs_plain_functions_in_threads_that_do_not_keep_the_process(self):
        peer = self.peer("cancel", "stream", "drain")
        self.assertEqual(peer.call("thread"), True)
        peer.send([0, 5, "hold", []])
        self.assertEqual(peer.call("echo", 7), 7)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(peer.read(), [2, "$drain", []])
        peer.close()
        self.assertEqual(self.ended()[0], 0)

    def test_refuses_more_than_threads_and_those_who_wait_for_them(self):
        peers = [self.peer("cancel") for _ in range(6)]
        for peer in peers:
            peer.send(*([0, call_id, "hold", []] for call_id in range(1, 64)), [0, 64, "echo", [1]])
        # Eight are being held, 256 wait: of 378 the rest is refused at once, and may be sent elsewhere.
        refused = []
        for peer in peers:
            while (message := peer.read())[1] != 64:
                refused.append((message[2]["code"], message[2]["retry"]))
        self.assertEqual(refused, [("overloaded", True)] * (378 - 264))
        self.peer().call("release")
        self.assertTrue(all(peer.read()[2] is None for peer in peers[:4]))

    def test_answers_a_deadline_in_time_whatever_the_method_does(self):
        peer = self.peer("cancel")
        for method in ("patient", "hold", "stubborn"):
            self.assertEqual(peer.call(method, meta={"deadline": 20}), "deadline-exceeded")
        # Both threads are free again, the second one since it was let go.
        self.assertEqual(peer.call("release"), None)
        self.assertEqual([peer.call("thread") for _ in range(20)], [True] * 20)

    def test_tells_a_cancel_of_its_own_from_that_of_a_client(self):
        peer = self.peer("cancel")
        self.assertEqual(peer.call("alone"), "failed")
        # In one piece: it is cancelled before its first step.
        peer.send([0, 3, "stubborn", []], [2, "$cancel", [3]], [0, 4, "echo", [1]])
        self.assertEqual([peer.read()[1:], peer.read()[1:]], [[3, self.cancelled(), None], [4, None, 1]])
        peer.send([0, 5, "stubborn", []])
        self.assertEqual(peer.call("echo", 2), 2)
        peer.send([2, "$cancel", [5]])
        self.assertEqual(peer.read()[2]["code"], "cancelled")
        self.assertEqual(peer.call("echo", 3), 3)

    def cancelled(self):
        return {"code": "cancelled", "message": "ended because the client wished it"}

    def test_answers_for_results_that_no_client_could_read(self):
        peer = self.peer("stream")
        for which in range(4):
            self.assertEqual(peer.call("result", which), "failed")
        peer.send([0, 9, "broken", [], {"stream": 10}])
        self.assertEqual(peer.read(), [2, "$item", [9, 1]])
        self.assertEqual(peer.read()[2]["code"], "failed")
        self.assertEqual(peer.call("echo", "still there"), "still there")

    def test_answers_for_what_is_raised_by_more_than_exceptions(self):
        peer = self.peer()
        self.assertEqual([peer.call("stop_iteration"), peer.call("leaves"), peer.call("thread")], ["failed", "failed", True])

    def test_counts_parameters_before_it_calls(self):
        peer = self.peer()
        self.assertEqual(peer.call("optional", 1), [1, 2])
        self.assertEqual(peer.call("optional", 1, 3, 4, 5), [1, 3, 4, 5])
        self.assertEqual([peer.call("optional"), peer.call("echo", 1, 2)], ["bad-params", "bad-params"])

    def test_streams_from_plain_generators(self):
        peer = self.peer("stream")
        peer.send([0, 1, "steps", [3], {"stream": 2}])
        self.assertEqual([peer.read(), peer.read()], [[2, "$item", [1, False]]] * 2)
        peer.send([2, "$credit", [1, 5]])
        self.assertEqual([peer.read(), peer.read()], [[2, "$item", [1, False]], [1, 1, None, "end"]])
        self.assertEqual(peer.call("steps", 3), [False, False, False])
        peer.send([0, 4, "steps", [10**9], {"stream": 2}])
        self.assertEqual([peer.read()[1], peer.read()[1]], ["$item", "$item"])

    def test_takes_no_more_connections_than_its_bound(self):
        peers = [self.peer() for _ in range(256)]
        self.assertEqual(peers[-1].call("echo", 1), 1)
        late = self.peer()
        self.assertEqual(late.read()[:2], [2, "$close"])
        self.assertIsNone(late.read())
        peers[0].close()
        self.assertEqual(peers[1].call("echo", 1), 1)
        self.assertEqual(self.peer().call("echo", 2), 2)


class Bounds(Serving):
    program = """
import asyncio, resource
import bulkhead.connection
bulkhead.connection.STALLED_AFTER = 2
bumps = 0

@plugin.method
async def bump(call):
    global bumps
    await asyncio.sleep(0.001)
    bumps += 1

@plugin.method
async def bumped(call): return bumps

@plugin.method
async def large(call): return b"x" * 1_000_000

@plugin.method
async def peak(call): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

@plugin.stream
async def endless(call):
    while True:
        yield b"x" * 10_000
"""

    def test_loses_no_notification_of_many(self):
        peer = self.peer()
        peer.send(*([2, "bump", []] for _ in range(1000)))
        self.assertIn(peer.call("bumped", call_id=1), range(1000 - 64, 1001))
        until(lambda: peer.call("bumped") == 1000, "the last of them")

    def test_makes_nothing_for_a_client_that_does_not_read_and_cuts_it(self):
        watcher = self.peer()
        before = watcher.call("peak")
        lazy = [self.peer("stream") for _ in range(10)]
        for peer in lazy:
            peer.send(*([0, call_id, "large", []] for call_id in range(1, 65)))
        # 640 MB, if they were all made at once.
        self.assertLess(watcher.call("peak") - before, 100_000)
        for peer in lazy:
            until(lambda: self.has_ended(peer), "the end of the connection")
        self.assertLess(watcher.call("peak") - before, 100_000)

    def has_ended(self, peer):
        """By a write: what was sent to it fills its queue, and it shall not read."""
        try:
            peer.socket.send(peer.frame([2, "bump", []]))
        except (BrokenPipeError, ConnectionResetError):
            return True
        time.sleep(0.05)
        return False

    def test_stops_a_stream_whose_client_has_credit_and_does_not_read(self):
        watcher = self.peer()
        before = watcher.call("peak")
        peer = self.peer("stream")
        peer.send([0, 1, "endless", [], {"stream": 1024}], *([2, "$credit", [1, 1024]] for _ in range(63)))
        until(lambda: self.has_ended(peer), "the end of the connection")
        self.assertLess(watcher.call("peak") - before, 50_000)


class Patience(Serving):
    program = """
@plugin.method
async def large(call): return b"x" * 1_000_000
"""

    def test_gives_all_to_a_client_that_reads_slowly(self):
        peer = self.peer("stream")
        peer.send(*([0, call_id, "large", []] for call_id in range(1, 21)))
        for _ in range(20):
            time.sleep(0.02)
            self.assertEqual(len(peer.read()[3]), 1_000_000)


class Memory(Serving):
    program = """
import bulkhead.server
bulkhead.server.MOST_INCOMING = bulkhead.server.MOST_HELD = 1_000_000
import asyncio
held = asyncio.Event()

@plugin.method
async def hold(call, data):
    await held.wait()
    return len(data)

@plugin.method
async def release(call): held.set()
"""

    def test_ends_with_whoever_begins_more_than_all_together_may(self):
        first, second = self.peer("cancel"), self.peer("cancel")
        for peer in (first, second):
            peer.whole = peer.frame([0, 1, "nothing", [b"x" * 900_000]])
        first.socket.sendall(first.whole[:-1])
        # What was read of it is counted when it is read, and the answer comes in order.
        self.assertEqual(self.peer("ping").call("$ping"), None)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            second.socket.sendall(second.whole[:-1])
        self.assertEqual(second.read(), [2, "$close", ["overloaded", "too much is on its way in"]])
        first.socket.sendall(first.whole[-1:])
        self.assertEqual(first.read()[2]["code"], "unknown-method")
        self.assertEqual(self.peer().call("nothing", b"x" * 900_000), "unknown-method")

    def test_begins_no_call_for_whose_parameters_there_is_no_room(self):
        first, second = self.peer("cancel"), self.peer("cancel")
        first.send([0, 1, "hold", [b"x" * 700_000]], [0, 2, "$cancelled?", []])
        self.assertEqual(first.read()[1:3], [2, {"code": "unknown-method", "message": "there is no method '$cancelled?'"}])
        second.send([0, 1, "hold", [b"x" * 700_000]])
        error = second.read()[2]
        self.assertEqual((error["code"], error["retry"]), ("overloaded", True))
        self.assertEqual(second.call("release"), None)
        self.assertEqual(first.read(), [1, 1, None, 700_000])
        self.assertEqual(second.call("hold", b"x" * 700_000), 700_000)


class Draining(Serving):
    program = """
import asyncio

@plugin.method
async def echo(call, x): return x

@plugin.method
async def slow(call):
    await asyncio.sleep(1.5)
    return "slow"

@plugin.on_drain
async def drained():
    print("asked to go", file=__import__("sys").stderr)
"""

    def test_serves_on_until_those_leave_who_were_told(self):
        told, plain = self.peer("drain"), self.peer()
        told.call("echo", 1)
        told.send([0, 2, "slow", []])
        plain.send([0, 3, "slow", []])
        until(lambda: plain.call("echo", 1, call_id=4) == 1, "the slow calls to be under way")
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(told.read(), [2, "$drain", []])
        self.assertEqual(told.call("echo", 5, call_id=5), 5)
        self.assertEqual([told.read(), plain.read()], [[1, 2, None, "slow"], [1, 3, None, "slow"]])
        # The plain one is left when it has rested for a second, the other one when it leaves.
        self.assertIsNone(plain.read())
        self.assertIsNone(self.process.poll())
        told.close()
        status, said = self.ended()
        self.assertEqual(status, 0)
        self.assertIn("asked to go", said)

    def test_takes_those_who_waited_and_refuses_others(self):
        self.process.send_signal(signal.SIGSTOP)
        waiting = self.peer()
        waiting.send([0, 0, "$hello", [{"protocol": 1, "features": ["drain"]}]])
        self.process.send_signal(signal.SIGTERM)
        self.process.send_signal(signal.SIGCONT)
        self.assertEqual(waiting.read()[:2], [1, 0])
        self.assertEqual(waiting.read(), [2, "$drain", []])
        with self.assertRaises((ConnectionRefusedError, FileNotFoundError)):
            self.peer()
        self.assertEqual(waiting.call("echo", 1), 1)
        waiting.close()
        self.assertEqual(self.ended()[0], 0)

    def test_answers_a_bare_peer_before_it_ends_with_it(self):
        peer = self.peer(framed=False)
        peer.send([0, 1, "nothing", []], b"\xc1")
        self.assertEqual(peer.read()[2]["code"], "unknown-method")
        self.assertIsNone(peer.read())
        self.process.send_signal(signal.SIGTERM)
        status, said = self.ended()
        self.assertEqual(status, 0)
        self.assertNotIn("Error", said)

    def test_says_why_it_cannot_serve(self):
        first = self.process
        for path, said in ((self.path, "another program serves there"), ("/nowhere/rpc.sock", "No such file")):
            self.start(BULKHEAD_RPC_SOCKET=path)
            self.process.wait()
            status, told = self.ended()
            self.assertEqual(status, 1)
            self.assertRegex(told, f"^cannot serve at {path}: {said}")
        self.process = first
        self.assertEqual(self.peer().call("echo", 1), 1)

    def test_leaves_the_place_to_whoever_came_after_it(self):
        first, peer = self.process, self.peer("drain")
        first.send_signal(signal.SIGTERM)
        self.assertEqual(peer.read(), [2, "$drain", []])
        self.start()
        peer.close()
        first.communicate()
        self.assertEqual(self.peer().call("echo", 1), 1)

    def test_ends_at_once_when_interrupted_twice(self):
        peer = self.peer("drain")
        self.process.send_signal(signal.SIGINT)
        self.assertEqual(peer.read(), [2, "$drain", []])
        self.process.send_signal(signal.SIGINT)
        status, said = self.ended()
        self.assertEqual(status, 0)
        self.assertIn("waiting for 1 client", said)


class HandedIn(Serving):
    program = """
import os, socket
@plugin.method
async def other(call):
    return socket.socket(fileno=os.dup(4)).getsockname()
"""

    def start(self, **environment):
        """With three sockets, as a sandbox has them: that for calls is the last one."""
        listeners = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(3)]
        for index, listener in enumerate(listeners):
            listener.bind(f"{self.directory}/{index}")
            listener.listen()
            os.dup2(listener.fileno(), 200 + index)
        names = "http:probe:rpc"
        self.path = f"{self.directory}/2"

        def hand_over():
            for index in range(3):
                os.dup2(200 + index, 3 + index)

        super().start(LISTEN_FDS="3", LISTEN_FDNAMES=names, preexec_fn=hand_over, **environment)
        for index, listener in enumerate(listeners):
            os.close(200 + index)
            listener.close()

    def test_serves_the_socket_for_calls_and_leaves_the_others(self):
        self.assertEqual(self.peer().call("other"), f"{self.directory}/1")
        self.process.send_signal(signal.SIGTERM)
        status, said = self.ended()
        self.assertEqual((status, said), (0, ""))


class Words(Serving):
    program = """
@plugin.method
async def echo(call, x): return x
"""

    def setUp(self):
        self.words = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.words.bind("\0bulkhead-test-%d" % os.getpid())
        self.words.settimeout(HANG)
        super().setUp()

    def tearDown(self):
        super().tearDown()
        self.words.close()

    def start(self):
        super().start(NOTIFY_SOCKET="@bulkhead-test-%d" % os.getpid(), WATCHDOG_USEC="200000")

    def test_tells_that_it_is_ready_and_lives_and_goes(self):
        self.assertEqual([self.words.recv(100) for _ in range(4)], [b"READY=1"] + [b"WATCHDOG=1"] * 3)
        self.process.send_signal(signal.SIGTERM)
        while (said := self.words.recv(100)) == b"WATCHDOG=1":
            pass
        self.assertEqual(said, b"STOPPING=1")
        self.assertEqual(self.ended()[0], 0)
