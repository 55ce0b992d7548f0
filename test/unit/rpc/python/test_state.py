"""Checkpoints and journals on a real disk, and what is left of them by a process that is killed."""

import asyncio
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock
from pathlib import Path

from bulkhead import Checkpoint, Journal, JournalFull, PluginError
from bulkhead import journal as journal_module
from serving import SDK

KILLED = """
import os, signal
from bulkhead import Journal
journal = Journal()
ids = [journal.accept_sync(b"work %d" % number) for number in range(4)]
journal.finish_sync(ids[1])
print(journal._path, flush=True)
{more}
os.kill(os.getpid(), signal.SIGKILL)
"""


class State(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        os.environ["STATE_DIRECTORY"] = self.directory
        self.addCleanup(os.environ.pop, "STATE_DIRECTORY", None)

    def files(self, below):
        return sorted(os.path.basename(path) for path in glob.glob(f"{self.directory}/{below}/*", include_hidden=True))


class Checkpoints(State):
    def path(self, name):
        return Path(self.directory, "checkpoint", name)

    def test_finds_what_was_saved_last(self):
        state = Checkpoint("index")
        self.assertIsNone(state.restore_sync())
        for content in (b"", b"first", bytes(3_000_000)):
            state.save_sync(content)
            self.assertEqual(Checkpoint("index").restore_sync(), content)
        self.assertEqual(asyncio.run(state.restore()), bytes(3_000_000))
        self.assertEqual(self.files("checkpoint"), ["index.0"])
        data = self.path("index.0").read_bytes()
        self.assertEqual((data[:8], len(data)), (b"BKCHK001", 3_000_020))

    def test_one_that_was_given_up_takes_the_place_of_none_that_came_after_it(self):
        state = Checkpoint("index")

        async def given_up():
            old = asyncio.ensure_future(state.save(bytes(60_000_000)))
            await asyncio.sleep(0.001)
            old.cancel()
            await state.save(b"new")
            await asyncio.get_running_loop().shutdown_default_executor()  # the thread of the old one has ended

        asyncio.run(given_up())
        self.assertEqual(state.restore_sync(), b"new")

    def test_two_that_find_the_same_damage_both_go_on(self):
        state = Checkpoint("index", schema=1)
        Checkpoint("index").save_sync(b"older")
        state.save_sync(b"newer")
        path = self.path("index.1")
        path.write_bytes(path.read_bytes()[:-1])
        rename = os.rename

        def late(source, target):
            rename(source, target)  # the other one was faster
            rename(source, target)

        with unittest.mock.patch("os.rename", late):
            self.assertEqual(state.restore_sync(), b"older")

    def test_saves_in_the_order_in_which_it_was_told(self):
        state = Checkpoint("index")

        async def together():
            await asyncio.gather(*(state.save(b"%d" % number) for number in range(30)))

        asyncio.run(together())
        self.assertEqual(state.restore_sync(), b"29")

    def test_leaves_to_a_version_that_comes_back_what_it_saved(self):
        for schema in (1, 3, 2):
            Checkpoint("index", schema).save_sync(b"schema %d" % schema)
        self.assertEqual(Checkpoint("index", 2).restore_sync(), b"schema 2")
        self.assertEqual(Checkpoint("index", 9).restore_sync(), b"schema 3")
        self.assertIsNone(Checkpoint("index", 0).restore_sync())
        self.assertIsNone(Checkpoint("inde", 9).restore_sync())

    def test_keeps_four_schemas(self):
        for schema in (1, 2, 10, 3, 4):
            Checkpoint("index", schema).save_sync(b"x")
        self.assertEqual(self.files("checkpoint"), ["index.10", "index.2", "index.3", "index.4"])
        # As of a version that has come back: the one that it saves is not the one to go.
        Checkpoint("index", 1).save_sync(b"back")
        self.assertEqual(self.files("checkpoint"), ["index.1", "index.10", "index.3", "index.4"])
        self.assertEqual(Checkpoint("index", 1).restore_sync(), b"back")

    def test_takes_the_next_lower_one_for_one_that_is_damaged(self):
        for schema in (1, 2, 3):
            Checkpoint("index", schema).save_sync(b"content %d" % schema)
        self.path("index.3").write_bytes(self.path("index.3").read_bytes()[:-1])
        damaged = bytearray(self.path("index.2").read_bytes())
        damaged[13] ^= 1
        self.path("index.2").write_bytes(damaged)
        self.assertEqual(Checkpoint("index", 3).restore_sync(), b"content 1")
        self.assertEqual(self.files("checkpoint"), ["index.1", "index.2.damaged", "index.3.damaged"])

    def test_is_whole_whenever_it_is_killed(self):
        program = """
import os, sys
from bulkhead import Checkpoint
state, number = Checkpoint("index"), 0
print(flush=True)
while True:
    number += 1
    state.save_sync(b"%d" % number * 50000)
"""
        for _ in range(10):
            child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment())
            child.stdout.readline()
            try:
                child.wait(0.05)
            except subprocess.TimeoutExpired:
                pass
            child.kill()
            child.communicate()
            content = Checkpoint("index").restore_sync()
            if content is not None:
                self.assertEqual(content, content[: len(content) // 50000] * 50000)
        self.assertEqual([each for each in self.files("checkpoint") if each.endswith(".damaged")], [])

    def test_refuses_what_is_no_name_and_what_is_too_large(self):
        for name in ("", "A", "../x", "a/b", "a.b", "x" * 65, "a\n", None):
            with self.assertRaises(ValueError):
                Checkpoint(name)
        for schema in (-1, 2**32, 1.5, True, None):
            with self.assertRaises(ValueError):
                Checkpoint("index", schema)
        with self.assertRaises(ValueError):
            Checkpoint("index").save_sync(bytes(64 * 1024 * 1024 + 1))
        del os.environ["STATE_DIRECTORY"]
        with self.assertRaisesRegex(PluginError, "state"):
            Checkpoint("index").save_sync(b"")


class Journals(State):
    def dead(self, more=""):
        """The path of what a killed process left."""
        command = [sys.executable, "-c", KILLED.format(more=more)]
        return subprocess.run(command, stdout=subprocess.PIPE, env=environment(), check=False).stdout.decode().strip()

    def replay(self, journal=None):
        pieces = []
        count = asyncio.run((journal or Journal()).replay(lambda work, content: pieces.append(content)))
        self.assertEqual(count, len(pieces))
        return pieces

    def test_hands_out_once_what_a_dead_process_did_not_finish(self):
        path = self.dead()
        journal = Journal()
        self.assertEqual(self.replay(journal), [b"work 0", b"work 2", b"work 3"])
        self.assertFalse(os.path.exists(path))
        self.assertEqual([self.replay(journal), self.replay()], [[], []])

    def test_keeps_nothing_of_an_acceptance_that_was_given_up(self):
        journal = Journal()

        async def given_up():
            accepting = asyncio.ensure_future(journal.accept(b"nobody's"))
            await asyncio.sleep(0)
            accepting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await accepting
            while os.fstat(journal._file).st_size > 0 or journal._open:
                await asyncio.sleep(0.01)
            await journal.finish(await journal.accept(b"mine"))

        asyncio.run(asyncio.wait_for(given_up(), 30))
        self.assertEqual(os.fstat(journal._file).st_size, 0)

    def test_writes_nothing_for_a_replay_that_was_given_up(self):
        self.dead()
        append = journal_module._Left.append

        def slow(left, kind, work):
            time.sleep(0.3)
            append(left, kind, work)

        async def given_up():
            replaying = asyncio.ensure_future(Journal().replay(lambda work, content: None))
            await asyncio.sleep(0.1)
            replaying.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await replaying
            with open(f"{self.directory}/another", "w+b") as another:
                await asyncio.get_running_loop().shutdown_default_executor()
                self.assertEqual(another.read(), b"")

        with unittest.mock.patch.object(journal_module._Left, "append", slow):
            asyncio.run(given_up())

    def test_leaves_the_work_of_the_living(self):
        journal = Journal()
        journal.accept_sync(b"mine")
        self.assertEqual(self.replay(Journal()), [])
        self.assertEqual(self.replay(journal), [])

    def test_counts_what_was_handed_out_as_done_whatever_dies(self):
        self.dead()
        dying = """
import asyncio, os, signal
def once(work, content): os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(journal.replay(once))
"""
        # It hands out the first piece of the other one, dies, and leaves three of its own.
        self.dead(dying)
        self.assertEqual(sorted(self.replay()), sorted([b"work 2", b"work 3", b"work 0", b"work 2", b"work 3"]))
        self.assertEqual(self.replay(), [])

    def test_goes_on_when_one_piece_fails(self):
        self.dead()
        seen = []

        async def fails_once(work, content):
            seen.append(content)
            if len(seen) == 1:
                raise RuntimeError("not this one")

        stderr, sys.stderr = sys.stderr, open(os.devnull, "w")
        try:
            self.assertEqual(asyncio.run(Journal().replay(fails_once)), 3)
        finally:
            sys.stderr.close()
            sys.stderr = stderr
        self.assertEqual(len(seen), 3)
        self.assertEqual(self.replay(), [])

    def test_believes_what_is_whole_and_nothing_behind_it(self):
        whole = [b"work 0", b"work 2", b"work 3"]
        for spoil, left in (
            (lambda data: data + b"\xff" * 30, whole),
            (lambda data: data[:-1], [b"work 0", b"work 1", b"work 2", b"work 3"]),
            (lambda data: data[:30] + b"x" + data[31:], []),
        ):
            path = Path(self.dead())
            path.write_bytes(spoil(path.read_bytes()))
            self.assertEqual(self.replay(), left)
            self.assertFalse(path.exists())

    def test_is_cut_when_nothing_is_open_and_full_when_too_much_is(self):
        journal = Journal()
        work = [journal.accept_sync(bytes(1000)) for _ in range(3)]
        for each in work:
            self.assertGreater(os.path.getsize(journal._path), 0)
            journal.finish_sync(each)
        self.assertEqual(os.path.getsize(journal._path), 0)
        most, journal_module.MOST_FILE = journal_module.MOST_FILE, 5000
        try:
            work = [asyncio.run(journal.accept(bytes(1000))) for _ in range(4)]
            with self.assertRaises(JournalFull):
                journal.accept_sync(bytes(1000))
        finally:
            journal_module.MOST_FILE = most
        for wrong in (b"x" * 16, b""):
            with self.assertRaises(PluginError):
                journal.finish_sync(wrong)
        with self.assertRaises(ValueError):
            journal.accept_sync(bytes(1024 * 1024 + 1))

    def test_shares_what_is_left_among_many_who_look_at_once(self):
        for _ in range(5):
            self.dead()
        journals = [Journal() for _ in range(4)]
        pieces = []

        async def together():
            await asyncio.gather(*(each.replay(lambda work, content: pieces.append(work)) for each in journals))

        asyncio.run(together())
        self.assertEqual((len(pieces), len(set(pieces))), (15, 15))


def environment():
    return {**os.environ, "PYTHONPATH": str(SDK), "PYTHONDONTWRITEBYTECODE": "1"}
