#!/usr/bin/env python3
"""Downloads that break, stall, lie, are killed, run out of disk or run twice at once."""

import fcntl
import os
import re
import resource
import shutil
import signal
import subprocess
import threading
import time
import unittest

from hub_case import HubCase, MIB, PROGRAM, noise
from loopback_hub import http_date, sha256

ID = "org/big"
FOLDER = "models--org--big"
NAME = "model-Q8_0.gguf"
LARGE = noise(80 * MIB + 12345, "large")  # three pieces
SMALL = {"model-Q8_0.gguf": noise(300_000, "small")}


def ranges_of(requests):
    out = []
    for request in requests:
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        out.append((int(span[1]), int(span[2]) + 1) if span else None)
    return out


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it did not happen in time")
        time.sleep(0.01)


class Transfer(HubCase):
    def partial(self):
        return os.path.join(self.cache, FOLDER, "blobs", sha256(LARGE) + ".mistralcpp.incomplete")

    def allocated(self):
        """Bytes that an unfinished download has on disk."""
        try:
            return os.stat(self.partial()).st_blocks * 512
        except FileNotFoundError:
            return 0

    def slow_down(self, pace=0.01):
        self.hub.fault("storage", "/blob/", times=99, pace=pace)

    def interrupted_pull(self, stop):
        """A pull of the large file that `stop` ends in its middle; what arrived before."""
        self.slow_down()
        process = self.start("pull", ID)
        wait_until(lambda: self.allocated() > 12 * MIB)
        stop(process)
        out, err = process.communicate(timeout=60)
        self.hub.forget()
        return process.returncode, out + err

    def assert_resumes(self, **variables):
        """The next pull fetches only what is missing."""
        before = self.allocated()
        self.assertGreater(before, 8 * MIB)
        path = self.pull(ID, **variables)
        with open(path, "rb") as file:
            self.assertEqual(sha256(file.read()), sha256(LARGE))
        asked = sum(end - begin for begin, end in ranges_of(self.hub.asked("storage")))
        self.assertLessEqual(asked, len(LARGE) - before + 4 * MIB)
        self.assertEqual(self.leftovers(ID), [])


class Ranges(Transfer):
    def test_a_large_file_comes_in_pieces_side_by_side(self):
        self.add(ID, {NAME: LARGE})
        path = self.pull(ID)
        self.assertEqual(os.path.getsize(path), len(LARGE))
        with open(path, "rb") as file:
            self.assertEqual(sha256(file.read()), sha256(LARGE))
        piece = 32 * MIB
        self.assertEqual(sorted(ranges_of(self.hub.asked("storage"))),
                         [(0, piece), (piece, 2 * piece), (2 * piece, len(LARGE))])

    def test_a_server_without_ranges_sends_the_whole(self):
        self.add(ID, {NAME: LARGE})
        self.hub.fault("storage", "/blob/", times=99, no_ranges=True)
        path = self.pull(ID)
        with open(path, "rb") as file:
            self.assertEqual(sha256(file.read()), sha256(LARGE))

    def test_an_empty_file_is_a_file(self):
        path = self.pull_files({NAME: b"", "generation_config.json": b""})
        self.assertEqual(os.path.getsize(path), 0)

    def pull_files(self, files):
        self.add(ID, files)
        return self.pull(ID)


class Trouble(Transfer):
    def test_a_broken_transfer_goes_on_where_it_broke(self):
        self.add(ID, {NAME: LARGE})
        self.hub.fault("storage", "/blob/", times=3, cut=5 * MIB)
        path = self.pull(ID)
        with open(path, "rb") as file:
            self.assertEqual(sha256(file.read()), sha256(LARGE))
        begins = sorted(begin for begin, _ in ranges_of(self.hub.asked("storage")))
        self.assertEqual(len(begins), 6)
        for begin in (0, 32 * MIB, 64 * MIB):
            self.assertIn(begin + 5 * MIB, begins)

    def test_a_stalled_transfer_is_given_up_and_gone_on_with(self):
        self.add(ID, {NAME: SMALL[NAME]})
        self.hub.fault("storage", "/blob/", cut=100_000, stall=60)
        self.pull(ID, HF_HUB_DOWNLOAD_TIMEOUT="1")
        self.assertEqual(ranges_of(self.hub.asked("storage")), [None, (100_000, 300_000)])

    def test_a_hub_that_does_not_answer_is_given_up(self):
        self.add(ID, SMALL)
        self.hub.fault("hub", "/api/", times=1, stall=60)
        self.pull(ID, HF_HUB_ETAG_TIMEOUT="1")

    def test_errors_that_pass(self):
        self.add(ID, SMALL)
        for status, headers in ((429, {"Retry-After": http_date(3)}), (503, {"Retry-After": "2"}),
                                (500, {}), (408, {})):
            self.hub.fault("hub", "/api/", status=status, headers=headers)
        self.hub.fault("hub", "/resolve/", status=502)
        self.hub.fault("storage", "/blob/", status=503)
        _, err = self.run_program("pull", ID, "--log-level", "info")
        waits = [(int(status), int(wait)) for status, wait in
                 re.findall(r"HTTP (\d+); trying again in (\d+) ms", err)]
        self.assertEqual([status for status, _ in waits], [429, 503, 500, 408, 502, 503])
        self.assertGreaterEqual(waits[0][1], 1000)  # a date; without it 625 at most
        self.assertGreaterEqual(waits[1][1], 2000)  # seconds; without them 1250 at most
        self.assertLess(waits[4][1], 1000)
        self.assertEqual(len(self.hub.asked("hub", pattern="/api/")), 5)

    def test_errors_that_stay(self):
        self.add(ID, SMALL)
        self.hub.fault("hub", "/api/", times=99, status=429, headers={"Retry-After": "3600"})
        err = self.pull(ID, code=1)
        self.assertIn("HTTP 429", err)
        self.assertIn("3600", err)
        self.assertEqual(len(self.hub.requests), 1)  # an hour is longer than a program waits
        self.hub.forget()
        self.hub.fault("storage", "/blob/", times=99, status=500)
        err = self.pull(ID, code=1)
        self.assertIn("HTTP 500", err)
        self.assertIn("goes on from there", err)
        self.hub.forget()
        self.pull(ID)

    def test_an_expired_address_is_asked_for_again(self):
        self.add(ID, SMALL)
        self.hub.fault("storage", "/blob/", status=403)
        self.pull(ID)
        self.assertEqual(len(self.hub.asked("hub", "HEAD", NAME)), 2)

    def test_an_answer_for_another_range_is_refused(self):
        self.add(ID, {NAME: LARGE})
        self.hub.fault("storage", "/blob/", times=99, status=206,
                       headers={"Content-Range": f"bytes 5-9/{len(LARGE)}"}, body=b"wrong")
        self.assertIn("another part", self.pull(ID, code=1))


class Checksums(Transfer):
    def test_a_wrong_checksum_deletes_the_file_and_says_so(self):
        files = {NAME: SMALL[NAME], "generation_config.json": b'{"a": 1}'}
        self.add(ID, files)
        for server, pattern, name, at in (("storage", "/blob/", NAME, 1000),
                                          ("hub", "/resolve/.*json", "generation_config.json", 3)):
            shutil.rmtree(self.cache, ignore_errors=True)
            self.hub.fault(server, pattern, methods=("GET",), flip=at)
            err = self.pull(ID, code=1)
            self.assertIn("the checksum differs", err)
            self.assertIn(name, err)
            self.assertIn("was deleted", err)
            self.assertEqual(self.leftovers(ID), [])
            snapshot = os.path.join(self.cache, FOLDER, "snapshots")
            names = [n for _, _, found in os.walk(snapshot) for n in found]
            self.assertNotIn(name, names)
        path = self.pull(ID)
        self.assert_snapshot(os.path.dirname(path), files)

    def test_a_damaged_part_of_an_earlier_run_is_fetched_again(self):
        self.add(ID, {NAME: LARGE})
        self.interrupted_pull(lambda process: process.kill())
        with open(self.partial(), "r+b") as file:
            file.seek(100)
            file.write(b"damaged")
        out, err = self.run_program("pull", ID)
        self.assertIn("fetching all of it again", err)
        with open(out.strip(), "rb") as file:
            self.assertEqual(sha256(file.read()), sha256(LARGE))

    def test_content_that_changes_between_question_and_answer(self):
        files = {"generation_config.json": b"the old one", NAME: SMALL[NAME]}
        repository = self.add(ID, files)
        commit = repository.refs["main"]
        # The first question is still answered with what the file was.
        self.hub.fault("hub", "generation_config.json", methods=("HEAD",), etag="1" * 40)
        out, err = self.run_program("pull", ID)
        self.assertIn("changed while it was being downloaded", err)
        self.assert_snapshot(os.path.dirname(out.strip()), files)
        self.assertIn(commit, out)

    def test_content_that_is_longer_than_announced(self):
        self.add(ID, SMALL)
        self.hub.fault("storage", "/blob/", times=9, content=SMALL[NAME] + b"more")
        self.assertIn("another part", self.pull(ID, code=1))
        self.hub.forget()
        self.pull(ID)

    def test_a_blob_of_another_length_is_fetched_again(self):
        self.add(ID, SMALL)
        path = self.pull(ID)
        blob = os.path.realpath(path)
        with open(blob, "r+b") as file:
            file.truncate(1000)
        os.remove(path)
        self.pull(ID)
        self.assert_snapshot(os.path.dirname(path), SMALL)


class Ends(Transfer):
    def test_kill_9_in_the_middle(self):
        self.add(ID, {NAME: LARGE})
        code, _ = self.interrupted_pull(lambda process: process.kill())
        self.assertEqual(code, -signal.SIGKILL)
        self.assert_resumes()

    def test_kill_9_at_many_moments(self):
        self.add(ID, {NAME: LARGE[:40 * MIB], "generation_config.json": b"{}"})
        path = None
        for attempt in range(40):
            process = self.start("pull", ID)
            try:
                out, err = process.communicate(timeout=0.02 * (attempt + 1))
                self.assertEqual(process.returncode, 0, err)
                path = out.strip()
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        path = path or self.pull(ID)
        with open(path, "rb") as file:
            self.assertEqual(sha256(file.read()), sha256(LARGE[:40 * MIB]))
        self.assertEqual(self.leftovers(ID), [])

    def test_ctrl_c(self):
        self.add(ID, {NAME: LARGE})
        code, text = self.interrupted_pull(lambda process: process.send_signal(signal.SIGINT))
        self.assertEqual(code, 130)
        self.assertIn("interrupted", text)
        self.assertNotIn("checksum", text)
        self.assert_resumes()

    def test_a_full_disk(self):
        self.add(ID, {NAME: LARGE})
        limit = 70 * MIB  # in the third piece

        def small_disk():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        process = subprocess.run([PROGRAM, "pull", ID], env=self.environment(), text=True,
                                 preexec_fn=small_disk, capture_output=True, timeout=60,
                                 check=False)
        self.assertEqual(process.returncode, 1, process.stderr)
        self.assertRegex(process.stderr, r"\.incomplete: cannot write it: File too large")
        self.hub.forget()
        self.assert_resumes()

    def test_no_room_is_said_before(self):
        self.add(ID, {NAME: LARGE})
        self.hub.fault("hub", NAME, times=9, methods=("HEAD",), headers={
            "X-Repo-Commit": self.hub.repositories[ID].refs["main"], "X-Linked-Size": str(1 << 49),
            "X-Linked-Etag": "a" * 64, "Location": self.hub.storage + "/blob/x"}, status=302)
        err = self.pull(ID, code=1)
        self.assertRegex(err, r"536870913 MiB are needed, but only \d+ MiB are free")
        self.assertEqual(self.hub.asked("storage"), [])

    def test_a_cache_that_cannot_be_written(self):
        self.add(ID, SMALL)
        with open(self.cache, "wb"):
            pass
        self.assertIn("cannot make the folder", self.pull(ID, code=1))


class Together(Transfer):
    def test_two_processes_fetch_once(self):
        self.add(ID, {NAME: LARGE, "generation_config.json": b"{}"})
        self.slow_down(0.001)
        processes = [self.start("pull", ID) for _ in range(3)]
        paths = set()
        for process in processes:
            out, err = process.communicate(timeout=120)
            self.assertEqual(process.returncode, 0, err)
            paths.add(out.strip())
        self.assertEqual(len(paths), 1)
        with open(paths.pop(), "rb") as file:
            self.assertEqual(sha256(file.read()), sha256(LARGE))
        self.assertEqual(len(self.hub.asked("storage")), 3)
        self.assertEqual(self.leftovers(ID), [])

    def test_the_lock_of_another_program_is_waited_for(self):
        self.add(ID, SMALL)
        locks = os.path.join(self.cache, ".locks", FOLDER)
        os.makedirs(locks)
        with open(os.path.join(locks, sha256(SMALL[NAME]) + ".lock"), "w",
                  encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            process = self.start("pull", ID, "--log-level", "info")
            lines = []
            reader = threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True)
            reader.start()
            wait_until(lambda: any("another process" in line for line in lines))
            self.assertEqual(self.hub.asked("storage"), [])
            _, err = self.run_program("cache", "rm", ID, code=1)
            self.assertIn("being downloaded by another process", err)
            fcntl.flock(lock, fcntl.LOCK_UN)
            self.assertEqual(process.wait(timeout=30), 0)
            process.stdout.close()
            reader.join()
            process.stderr.close()
        self.assertEqual(len(self.hub.asked("storage")), 1)

    def test_a_partial_file_of_python_is_gone_on_with(self):
        self.add(ID, SMALL)
        blobs = os.path.join(self.cache, FOLDER, "blobs")
        os.makedirs(blobs)
        with open(os.path.join(blobs, sha256(SMALL[NAME]) + ".incomplete"), "wb") as file:
            file.write(SMALL[NAME][:200_000])
        self.pull(ID)
        self.assertEqual(ranges_of(self.hub.asked("storage")), [(200_000, 300_000)])
        self.assertEqual(self.leftovers(ID), [])


if __name__ == "__main__":
    unittest.main()
