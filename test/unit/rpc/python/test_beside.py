"""What goes beside messages: files in memory and descriptors. What all SDKs have to refuse is driven by test/conformance;
here is what is Python's own, and that nothing else has changed for those who agree on it.
"""

import array
import fcntl
import os
import signal
import socket
import struct
import termios
import unittest

import msgpack
from bulkhead import Descriptor
from bulkhead.enclosed import SEALS
from bulkhead.enclosing import encode_response, make_body
from serving import Peer, Serving, until
from test_serving import Bounds, Draining, Memory, Patience

BESIDE = ("body", "descriptor")
MIB = 1024 * 1024


def body(index, size):
    return msgpack.ExtType(1, struct.pack(">BQ", index, size))


def descriptor(index):
    return msgpack.ExtType(2, bytes((index,)))


class CarryingPeer(Peer):
    """Keeps descriptors that come, in order."""

    def __init__(self, path):
        super().__init__(path)
        self.came = []

    def send_with(self, fds, message):
        data = self.frame(message)
        sent = self.socket.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        self.socket.sendall(data[sent:])

    def _more(self):
        data, ancillary, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(64 * 4), socket.MSG_CMSG_CLOEXEC)
        for _, _, rights in ancillary:
            self.came += array.array("i", rights)
        return data

    def close(self):
        super().close()
        for fd in self.came:
            os.close(fd)
        self.came = []


class Beside(Serving):
    program = """
import asyncio, os
kept = []

@plugin.method
async def echo(call, x): return x

@plugin.method
async def size(call, *all): return [len(each) for each in all]

@plugin.method
def size_in_thread(call, *all): return [len(each) for each in all]

@plugin.method
async def keep(call, descriptor): kept.append(descriptor.detach())

@plugin.method
async def write(call, text): return os.write(kept.pop(), text)

@plugin.method
async def remember(call, descriptor): kept.append(descriptor)

@plugin.method
async def forgotten(call): return repr(kept.pop())

@plugin.method
def raises(call, *all): raise ValueError("no")

@plugin.method
async def made(call, text):
    end, start = os.pipe()
    os.write(start, text)
    os.close(start)
    with open(end, "rb") as file:
        return Descriptor(file)

@plugin.method
async def many(call, n): return [Descriptor(0)] * n

@plugin.method
async def large(call): return b"x" * 3_000_000

@plugin.method
async def wait(call, x): await asyncio.sleep(60)

@plugin.stream
async def parts(call, last):
    yield 1
    call.result = b"z" * 5_000_000
    if last:
        yield Descriptor(0)

bumps = []

@plugin.method
async def bump(call, x): bumps.append(len(x))

@plugin.method
async def bumped(call): return bumps
"""

    def beside(self, *features):
        peer = CarryingPeer(self.path)
        self.peers.append(peer)
        peer.greet(*(features or BESIDE))
        return peer

    def sent(self, peer, fds, message):
        """Sends with descriptors, which are closed here then."""
        peer.send_with(fds, message)
        for fd in fds:
            os.close(fd)

    def open(self):
        """Descriptors of the plugin."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def test_names_what_it_can_and_takes_it_from_whoever_named_it(self):
        self.assertEqual(self.peer().greet("cancel")["features"][-2:], ["body", "descriptor"])
        peer = self.beside("descriptor")
        self.sent(peer, [make_body(b"12345")], [0, 1, "size", [body(0, 5)]])
        self.assertEqual(peer.read()[1], "$close")
        self.assertIsNone(peer.read())

    def test_closes_what_came_whatever_became_of_the_call(self):
        peer = self.beside()
        before = self.open()
        end, start = os.pipe()
        for call_id, (method, params) in enumerate(
            (
                ("echo", [descriptor(0)]),
                ("raises", [descriptor(0), body(1, 5)]),
                ("nothing", [descriptor(0), body(1, 5)]),
                ("echo", [descriptor(0), body(1, 5)]),
                ("$hello", [descriptor(0), body(1, 5)]),
                ("size", [[body(1, 5)], {"a": descriptor(0)}]),
                ("size_in_thread", [body(1, 5), b"x"]),
            )
        ):
            self.sent(peer, [os.dup(end), make_body(b"12345")], [0, call_id, method, params])
            # A descriptor that its own message does not mention is the next one's.
            if b"\xd4\x02" not in msgpack.packb(params) or b"\xc7\x09\x01" not in msgpack.packb(params):
                peer.close()
                peer = self.beside()
                continue
            self.assertEqual(peer.read()[:2], [1, call_id])
        peer.send_with([end], [2, "bump", [b"x"], {"unknown": descriptor(0)}])
        peer.send_with([end], [2, "nothing", [descriptor(0)]])
        until(lambda: peer.call("bumped") == [1], "the notification")
        os.close(end)
        until(lambda: self.open() <= before, "everything to be closed")
        # The last one of them is gone, so that nobody could read.
        with self.assertRaises(BrokenPipeError):
            os.write(start, b"x")
        os.close(start)

    def test_refuses_more_than_16_of_a_message(self):
        peer = self.beside()
        fds = [os.dup(0) for _ in range(17)]
        peer.send_with(fds[:16], [0, 1, "echo", [[descriptor(index) for index in range(16)]]])
        self.assertEqual(len(peer.read()[3]), 16)
        peer.send_with(fds, [0, 2, "echo", [[descriptor(index) for index in range(17)]]])
        self.assertEqual(peer.read(), [2, "$close", ["bad-frame", "more than 16 descriptors are mentioned"]])
        self.assertIsNone(peer.read())
        for fd in fds:
            os.close(fd)

    def test_leaves_a_descriptor_to_whoever_detached_it(self):
        peer = self.beside()
        end, start = os.pipe()
        self.sent(peer, [os.dup(start)], [0, 1, "keep", [descriptor(0)]])
        self.assertEqual(peer.read(), [1, 1, None, None])
        self.assertEqual(peer.call("write", b"through"), 7)
        self.assertEqual(os.read(end, 100), b"through")
        self.sent(peer, [start], [0, 1, "remember", [descriptor(0)]])
        self.assertEqual(peer.read(), [1, 1, None, None])
        self.assertEqual(peer.call("forgotten"), "Descriptor(closed)")
        os.close(end)

    def test_reads_bodies_of_one_message_wherever_they_are(self):
        peer = self.beside()
        self.sent(
            peer,
            [make_body(b"a" * 100_000), make_body(b""), make_body(b"ccc")],
            [0, 1, "echo", [{"x": [body(2, 3), {"y": body(0, 100_000)}], "z": body(1, 0)}]],
        )
        self.assertEqual(peer.read()[3], {"x": [b"ccc", {"y": b"a" * 100_000}], "z": b""})
        # Of two values of one key the last one counts; descriptors of both have been mentioned.
        twice = b"\x82\xa1a" + msgpack.packb(body(0, 3)) + b"\xa1a" + msgpack.packb(body(1, 2))
        self.sent(peer, [make_body(b"one"), make_body(b"tw")], b"\x94\x00\x02\xa4echo\x91" + twice)
        self.assertEqual(peer.read(), [1, 2, None, {"a": b"tw"}])

    def test_takes_notifications_with_bodies(self):
        peer = self.beside()
        self.sent(peer, [make_body(b"b" * 70_000)], [2, "bump", [body(0, 70_000)]])
        until(lambda: peer.call("bumped") == [70_000], "the notification")

    def test_holds_no_more_than_a_gibibyte_of_bodies(self):
        peer, other = self.beside(), self.beside()
        # Empty pages, which cost nothing as long as nobody reads them.
        fd = os.memfd_create("sparse", os.MFD_ALLOW_SEALING)
        os.truncate(fd, 600 * MIB)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
        peer.send_with([fd, fd], [0, 1, "size", [body(0, 600 * MIB), body(1, 600 * MIB)]])
        error = peer.read()[2]
        self.assertEqual((error["code"], error.get("retry")), ("too-large", None))
        small = make_body(b"s" * 70_000)
        peer.send_with([small], [0, 2, "wait", [body(0, 70_000)]])
        huge = os.memfd_create("sparse", os.MFD_ALLOW_SEALING)
        os.truncate(huge, 1024 * MIB)
        fcntl.fcntl(huge, fcntl.F_ADD_SEALS, SEALS)
        peer.send_with([huge], [0, 3, "size", [body(0, 1024 * MIB)]])
        error = peer.read()[2]
        self.assertEqual((error["code"], error["retry"]), ("overloaded", True))
        other.send_with([huge], [2, "bump", [body(0, 1024 * MIB)]])
        self.assertEqual(other.read(), [2, "$close", ["overloaded", "there is no room for what came with a notification"]])
        for each in (fd, small, huge):
            os.close(each)

    def test_sends_what_no_frame_has_room_for_as_a_file_that_cannot_change(self):
        peer = self.beside("body", "stream")
        peer.send([0, 1, "parts", [False], {"stream": 5}])
        self.assertEqual(peer.read(), [2, "$item", [1, 1]])
        self.assertEqual(peer.read(), [1, 1, None, body(0, 5_000_000)])
        self.assertEqual(fcntl.fcntl(peer.came[0], fcntl.F_GET_SEALS) & SEALS, SEALS)
        self.assertEqual(os.pread(peer.came[0], 5_000_001, 0), b"z" * 5_000_000)

    def test_says_where_no_descriptor_can_go(self):
        peer = self.beside("body", "descriptor", "stream")
        peer.send([0, 1, "parts", [True], {"stream": 5}])
        self.assertEqual(peer.read(), [2, "$item", [1, 1]])
        self.assertRegex(peer.read()[2]["message"], "a Descriptor cannot be sent here")
        self.assertRegex(self.failure(peer, "many", 17), "more than 16 descriptors")
        self.assertEqual(len(peer.call("many", 16)), 16)
        self.assertRegex(self.failure(self.beside("body"), "made", b"x"), "a Descriptor cannot be sent")
        self.assertRegex(self.failure(self.peer("cancel"), "made", b"x"), "a Descriptor cannot be sent")

    def failure(self, peer, method, *params):
        peer.send([0, 1, method, list(params)])
        return peer.read()[2]["message"]

    def test_keeps_the_order_behind_what_is_still_to_be_sent(self):
        peer = self.beside()
        before = self.open()
        for call_id in range(0, 30, 3):
            made = [0, call_id + 1, "made", [b"%d" % call_id]]
            peer.send([0, call_id, "large", []], made, [0, call_id + 2, "echo", [call_id]])
        answers = {}
        for _ in range(30):
            _, call_id, _, result = peer.read()
            answers[call_id] = os.read(peer.came.pop(0), 100) if isinstance(result, msgpack.ExtType) else result
        for call_id in range(0, 30, 3):
            self.assertEqual(len(answers[call_id]), 3_000_000)
            self.assertEqual([answers[call_id + 1], answers[call_id + 2]], [b"%d" % call_id, call_id])
        until(lambda: self.open() <= before, "all to be closed that were sent")

    def test_waits_for_whoever_does_not_read_what_comes_with_descriptors(self):
        # The queue of the socket is full of them, while the transport has nothing to send.
        peer, other = self.beside(), self.beside()
        before = self.open()
        for first in range(0, 800, 32):
            # In one piece: many small ones would fill the queue of this side.
            peer.send(*([0, call_id, "made", [b"%d" % call_id]] for call_id in range(first, first + 32)))
            # Behind this, all of them are being served, or are not read.
            self.assertEqual(other.call("echo", first), first)
        served = 0
        for _ in range(800):
            _, call_id, error, result = peer.read()
            if error is not None:
                # What was not read for so long is more than 64 at a time then.
                self.assertEqual(error["code"], "overloaded")
                continue
            self.assertEqual(result, descriptor(0), call_id)
            fd = peer.came.pop(0)
            self.assertEqual(os.read(fd, 100), b"%d" % call_id)
            os.close(fd)
            served += 1
        self.assertGreater(served, 128)
        self.assertEqual((peer.call("echo", "still there"), peer.came), ("still there", []))
        until(lambda: self.open() <= before, "all to be closed that were sent")

    def test_leaves_nothing_of_those_who_left_while_it_waited(self):
        before = self.open()
        for end in ("close", "half", "reset"):
            peer = self.beside()
            peer.send(*([0, call_id, "made", [b"x"]] for call_id in range(600)))
            peer.send_with([0, 0, 0], [0, 999, "echo", [b"x"]])
            if end == "half":
                peer.socket.shutdown(socket.SHUT_WR)
                while peer._more():
                    pass
            elif end == "close":
                peer.send([2, "$close", ["bye", "now"]])
            peer.close()
            until(lambda: self.open() <= before, f"nothing to be left after {end}")
        self.assertEqual(self.beside().call("echo", 1), 1)

    def test_ends_when_either_direction_does(self):
        peer = self.beside()
        peer.send([0, 1, "wait", [1]])
        peer.socket.shutdown(socket.SHUT_WR)
        self.assertEqual(peer._more(), b"")
        self.process.send_signal(signal.SIGTERM)
        status, said = self.ended()
        self.assertEqual((status, "rror" in said), (0, False), said)


class Unread(Serving):
    program = """
import bulkhead.descriptor_socket
bulkhead.descriptor_socket.MOST_UNREAD = 20_000_000

@plugin.method
async def huge(call): return b"x" * 6_000_000

@plugin.method
async def echo(call, x): return x
"""

    def test_makes_no_more_files_than_a_client_reads(self):
        peer, other = CarryingPeer(self.path), self.peer("ping")
        self.peers.append(peer)
        peer.greet(*BESIDE)
        answer = len(peer.frame([1, 1, None, body(0, 6_000_000)]))
        peer.send(*([0, call_id, "huge", []] for call_id in range(1, 11)))
        until(lambda: self.waiting(peer) >= 3 * answer, "what may be made")
        for call_id in range(100):
            self.assertEqual(other.call("echo", call_id), call_id)
        self.assertEqual(self.waiting(peer), 3 * answer)
        self.assertEqual(sorted(peer.read()[1] for _ in range(10)), list(range(1, 11)))
        self.assertEqual([os.fstat(fd).st_size for fd in peer.came], [6_000_000] * 10)
        self.assertEqual(peer.call("echo", "well"), "well")

    def waiting(self, peer):
        """Bytes that the peer could read."""
        return struct.unpack("i", fcntl.ioctl(peer.socket, termios.FIONREAD, bytes(4)))[0]


class CarriesAll:
    """Has all greeted clients agree on bodies and descriptors: nothing else is to change for them."""

    def peer(self, *features, framed=True):
        return super().peer(*features, *(BESIDE if features and framed else ()), framed=framed)


class BoundsBeside(CarriesAll, Bounds):
    pass


class PatienceBeside(CarriesAll, Patience):
    pass


class MemoryBeside(CarriesAll, Memory):
    pass


class DrainingBeside(CarriesAll, Draining):
    pass


del Bounds, Patience, Memory, Draining  # they are tested where they are


class Values(unittest.TestCase):
    def test_closes_a_descriptor_once(self):
        end, start = os.pipe()
        with Descriptor(start) as copy:
            os.close(start)
            fd = copy.fileno()
            os.write(fd, b"x")
        self.assertEqual(os.read(end, 2), b"x")
        self.assertEqual(os.read(end, 2), b"")
        copy.close()
        with self.assertRaisesRegex(ValueError, "closed"):
            copy.detach()
        with self.assertRaises(OSError):
            Descriptor(fd)
        with open(end, "rb") as file:
            detached = Descriptor(file).detach()
            self.assertFalse(os.get_inheritable(detached))
            os.close(detached)

    def test_sends_as_bytes_what_a_frame_has_room_for(self):
        for size, beside in ((70_000, False), (4 * MIB - 70_000, False), (4 * MIB, True), (20 * MIB, True)):
            encoded, enclosing = encode_response(1, b"x" * size, 64 * MIB if size > 4 * MIB else 4 * MIB, {"body"})
            self.assertEqual((len(enclosing.fds), len(encoded) < 100), (beside, beside), size)
            self.assertEqual([os.fstat(fd).st_size for fd in enclosing.fds], [size] * beside)
            enclosing.close()
        # Two of them have no room together: the second one goes beside.
        for value in ([b"x" * 3 * MIB] * 2, {"a": b"y" * MIB, "b": [memoryview(b"x" * 3 * MIB)]}):
            encoded, enclosing = encode_response(1, value, 4 * MIB, {"body"})
            self.assertEqual((enclosing.size, len(encoded) < 4 * MIB), (3 * MIB, True))
            enclosing.close()
        self.assertGreater(len(encode_response(1, b"x" * 5 * MIB, 4 * MIB, {"descriptor"})[0]), 5 * MIB)

    def test_leaves_nothing_open_of_what_cannot_be_sent(self):
        before = len(os.listdir("/proc/self/fd"))
        with self.assertRaises(ValueError):
            encode_response(1, [Descriptor(0)] * 17, 4 * MIB, set(BESIDE))
        with self.assertRaises(UnicodeEncodeError):
            encode_response(1, [Descriptor(0), b"x" * 5 * MIB, "x\ud800"], 4 * MIB, set(BESIDE))
        closed = Descriptor(0)
        closed.close()
        with self.assertRaisesRegex(ValueError, "closed"):
            encode_response(1, [Descriptor(0), closed], 4 * MIB, set(BESIDE))
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
