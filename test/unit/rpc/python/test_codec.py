"""What is taken for MessagePack, and what may go out."""

import tracemalloc
import unittest

import msgpack
from bulkhead.codec import check_outgoing, decode, encode
from bulkhead.errors import BadFrame, PluginError, error_map
from bulkhead.frames import NOTHING, BareFrames, Frames


def nested(levels):
    return b"\x91" * levels + b"\xc0"


class Decoding(unittest.TestCase):
    def test_takes_what_the_protocol_has(self):
        value = [0, -1, 2**53, -(2**53), 1.5, None, True, "ü", b"\xff", {"a": [{"b": {}}]}]
        self.assertEqual(decode(msgpack.packb(value)), value)
        self.assertEqual(decode(msgpack.packb(["x" * 5000, [1] * 70000])), ["x" * 5000, [1] * 70000])

    def test_takes_32_levels_and_not_33(self):
        decode(nested(32))
        for levels in (33, 500, 5000, 2000000):
            with self.assertRaisesRegex(BadFrame, "levels|MessagePack"):
                decode(nested(levels))

    def test_refuses_what_is_no_value(self):
        long = b"\xc4\xff" + bytes(255)
        for wrong in (
            b"", b"\xc1", b"\x92\x01", b"\xa5abc", b"\x01\x02", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff",
            b"\xa2\xff\xfe", b"\x81\x01\x02", b"\x81\xc4\x01a\x02", b"\x81\x90\x02", b"\xd4\x05\x00", b"\xd6\xff\x00\x00\x00\x00",
            b"\xd4\x01\x00", b"\x91\xd4\x02\x00", long * 8 + b"\x01", b"\xdc\x08\x00" + b"\x01" * 1500,
        ):  # fmt: skip
            with self.assertRaises(BadFrame, msg=wrong[:16]):
                decode(wrong)

    def test_makes_no_room_for_what_is_only_claimed(self):
        # Each level claims as many members as the frame has bytes: 30 GB, if it was believed.
        claims = b"\xdd\x00\x3f\xff\xff" * 800
        data = claims + bytes(4 * 1024 * 1024 - len(claims))
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        with self.assertRaises(BadFrame):
            decode(data)
        self.assertLess(tracemalloc.get_traced_memory()[1], 16 * 1024 * 1024)


class Encoding(unittest.TestCase):
    def test_lets_out_what_any_client_can_read(self):
        for value in (None, 1, 2**53, [1, (2, 3)], {"a": bytearray(b"x")}, memoryview(b"x"), "ü", 1.5):
            check_outgoing(value)
            encode(value)

    def test_says_what_cannot_be_sent(self):
        for value, said in (
            (2**53 + 1, "beyond"), ([{"a": -(2**60)}], "beyond"), ({1: 2}, "no string"), ([{b"a": 1}], "no string"),
            ({1, 2}, "a set cannot"), (object(), "a object cannot"), (1j, "a complex cannot"),
        ):  # fmt: skip
            with self.assertRaisesRegex((ValueError, TypeError), said):
                check_outgoing(value)
        deep = []
        deep.append(deep)
        with self.assertRaisesRegex(ValueError, "levels"):
            check_outgoing(deep)
        with self.assertRaises(ValueError):
            encode("\ud800")
        self.assertEqual(encode([1]), b"\x91\x01")

    def test_bounds_what_is_said_of_an_error(self):
        told = error_map(PluginError("own", "ü" * 1000))
        self.assertEqual(len(told["message"].encode()), 1024)
        self.assertEqual(set(told), {"code", "message"})
        for code in ("", "A", "a b", "x" * 65, None, "a\n"):
            with self.assertRaises(ValueError):
                PluginError(code)


class Framing(unittest.TestCase):
    def test_puts_messages_together_from_any_pieces(self):
        messages = [[1], ["x" * 3000], None, [b"y" * 100000], {}, [[]]]
        bare = b"".join(map(msgpack.packb, messages))
        framed = b"".join(len(each).to_bytes(4, "big") + each for each in map(msgpack.packb, messages))
        for frames, data in ((Frames, framed), (BareFrames, bare)):
            for size in (1, 3, 7, 1000, len(data)):
                reader, got = frames(), []
                for at in range(0, len(data), size):
                    reader.feed(data[at : at + size])
                    while (message := reader.next()) is not NOTHING:
                        got.append(message)
                self.assertEqual(got, messages)
                self.assertEqual(reader.held(), 0)

    def test_refuses_a_length_before_anything_of_it_is_kept(self):
        for length in (0, 4 * 1024 * 1024 + 1, 2**32 - 1):
            frames = Frames()
            frames.feed(length.to_bytes(4, "big"))
            with self.assertRaisesRegex(BadFrame, str(length)):
                frames.next()

    def test_bounds_messages_without_lengths(self):
        frames = BareFrames()
        frames.feed(b"\x93\xc6\x7f\xff\xff\xff")
        with self.assertRaises(BadFrame):
            for _ in range(100):
                self.assertIs(frames.next(), NOTHING)
                frames.feed(bytes(65536))


if __name__ == "__main__":
    unittest.main()
