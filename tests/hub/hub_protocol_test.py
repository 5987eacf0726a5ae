#!/usr/bin/env python3
"""Ids, revisions, tokens, errors and the cache: the program against a hub on loopback."""

import json
import os
import shutil
import subprocess
import unittest

from hub_case import HubCase, MODEL_FOLDER, clean_environment, noise, small_model
from loopback_hub import Hub, git_sha1, sha256

ID = "org/tiny-model"
FOLDER = "models--org--tiny-model"


class Pull(HubCase):
    def test_takes_what_the_model_needs_into_the_layout_of_the_python_client(self):
        files = small_model()
        repository = self.add(ID, {**files, "README.md": b"read me", "onnx/model.bin": b"other",
                                   "flax_model.msgpack": b"other", "pytorch_model.bin": b"other",
                                   "consolidated.safetensors": b"other"})
        commit = repository.refs["main"]
        path = self.pull(ID)
        root = os.path.join(self.cache, FOLDER)
        self.assertEqual(path, os.path.join(root, "snapshots", commit))
        self.assertEqual(sorted(os.listdir(path)), sorted(files))
        self.assert_snapshot(path, files)
        with open(os.path.join(root, "refs", "main"), encoding="utf-8") as ref:
            self.assertEqual(ref.read(), commit)
        self.assertEqual(os.readlink(os.path.join(path, "model.safetensors")),
                         "../../blobs/" + sha256(files["model.safetensors"]))
        self.assertEqual(os.readlink(os.path.join(path, "config.json")),
                         "../../blobs/" + git_sha1(files["config.json"]))
        self.assertEqual(sorted(os.listdir(os.path.join(root, "blobs"))),
                         sorted({os.path.basename(os.readlink(os.path.join(path, n)))
                                 for n in files}))
        absent = os.listdir(os.path.join(root, ".no_exist", commit))
        self.assertIn("chat_template.jinja", absent)
        self.assertNotIn("tokenizer.json", absent)
        self.assertEqual(self.leftovers(ID), [])

    def test_an_id_is_a_model_for_every_command(self):
        files = small_model()
        self.add(ID, files)
        out, _ = self.run_program("tokenize", "-m", ID, "Hello")
        self.assertRegex(out, r"^\d+( \d+)*\n$")
        self.hub.forget()
        out, _ = self.run_program("info", ID, "--json", HF_HUB_OFFLINE="1")
        self.assertEqual(json.loads(out)["architecture"], "llama")
        text = os.path.join(self.root, "text")
        with open(text, "w", encoding="utf-8") as file:
            file.write("Hello")
        local, _ = self.run_program("eval", "-m", MODEL_FOLDER, "--text", text, "--greedy", "2")
        out, _ = self.run_program("eval", "-m", ID, "--text", text, "--greedy", "2",
                                  HF_HUB_OFFLINE="1")
        self.assertEqual(out, local)
        out, _ = self.run_program("tokenize", "plain", "-m", MODEL_FOLDER, "-t", ID, "Hello",
                                  HF_HUB_OFFLINE="1")
        self.assertRegex(out, r"^\d+")
        self.assertEqual(self.hub.requests, [])

    def test_a_path_wins_over_an_id(self):
        shutil.copytree(MODEL_FOLDER, os.path.join(self.root, ID))
        self.run_program("info", "-m", ID)
        self.assertEqual(self.hub.requests, [])

    def test_a_text_that_is_no_id_reaches_no_hub(self):
        for model in ("nothing", "a/b/c", "/no/such", "./x/y", "org/model.gguf", "../x", "a/..",
                      "org/-x", "org/a--b"):
            _, err = self.run_program("info", "-m", model, code=1)
            self.assertIn("no such file or folder", err)
        self.assertIn("no id of a model", self.pull("not-an-id", code=1))
        self.assertEqual(self.hub.requests, [])

    def test_fetches_only_what_changed(self):
        files = small_model()
        repository = self.add(ID, files)
        first = self.pull(ID)
        self.hub.forget()
        files["config.json"] += b"\n"
        repository.commit("main", files)
        second = self.pull(ID)
        self.assertNotEqual(first, second)
        self.assert_snapshot(second, files)
        fetched = [r.path.rsplit("/", 1)[1] for r in self.hub.asked(method="GET", pattern="/resolve/")]
        self.assertEqual(fetched, ["config.json"])
        self.assertEqual(self.hub.asked("storage"), [])

    def test_follows_a_renamed_repository(self):
        self.add("org/new-name", small_model())
        self.add(ID, {}).moved_to = "org/new-name"
        path = self.pull(ID)
        self.assertIn(FOLDER, path)

    def test_a_repository_without_a_model_says_what_is_there(self):
        self.add(ID, {"README.md": b"nothing here"})
        err = self.pull(ID, code=1)
        self.assertIn("no config.json", err)
        self.assertIn("README.md", err)

    def test_shards_come_by_the_index(self):
        index = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors",
                                           "b": "model-00002-of-00002.safetensors"}}).encode()
        files = {"config.json": b"{}", "model.safetensors.index.json": index,
                 "model-00001-of-00002.safetensors": b"one",
                 "model-00002-of-00002.safetensors": b"two"}
        self.add(ID, {**files, "model.safetensors": b"all in one"})
        path = self.pull(ID)
        self.assertEqual(sorted(os.listdir(path)), sorted(files))

    def test_an_index_cannot_name_files_elsewhere(self):
        index = json.dumps({"weight_map": {"a": "../../../outside.safetensors"}}).encode()
        self.add(ID, {"config.json": b"{}", "model.safetensors.index.json": index})
        self.assertIn("names no file of the repository", self.pull(ID, code=1))


class Quantisations(HubCase):
    def setUp(self):
        super().setUp()
        self.files = {name: noise(1000, name) for name in (
            "m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "m-Q8_0.gguf", "mmproj-Q8_0.gguf",
            "BF16/m-BF16-00001-of-00002.gguf", "BF16/m-BF16-00002-of-00002.gguf")}
        self.add(ID, self.files)

    def fetched(self):
        return sorted(r.path.split("/resolve/")[1].split("/", 1)[1]
                      for r in self.hub.asked(method="HEAD", pattern="/resolve/"))

    def test_picks_by_quantisation(self):
        path = self.pull(ID + ":q8_0")
        self.assertTrue(path.endswith("/m-Q8_0.gguf"), path)
        self.assertEqual(self.fetched(), ["m-Q8_0.gguf"])

    def test_takes_all_shards(self):
        path = self.pull(ID + ":BF16")
        self.assertTrue(path.endswith("/BF16/m-BF16-00001-of-00002.gguf"), path)
        self.assertEqual(self.fetched(), ["BF16/m-BF16-00001-of-00002.gguf",
                                          "BF16/m-BF16-00002-of-00002.gguf"])
        self.assertTrue(os.path.exists(path.replace("00001-of", "00002-of")))
        self.assertEqual(os.readlink(path),
                         "../../../blobs/" + sha256(self.files["BF16/m-BF16-00001-of-00002.gguf"]))

    def test_the_default_is_q4_k_m(self):
        self.assertTrue(self.pull(ID).endswith("/m-Q4_K_M.gguf"))

    def test_names_what_there_is(self):
        err = self.pull(ID + ":Q5_0", code=1)
        self.assertIn("no GGUF model of quantisation 'Q5_0'", err)
        self.assertIn("m-Q8_0.gguf", err)
        self.assertNotIn("mmproj", err)
        self.assertIn("no GGUF model of quantisation 'Q4_K'", self.pull(ID + ":Q4_K", code=1))

    def test_a_file_can_be_named(self):
        self.assertTrue(self.pull(ID + ":m-Q4_K_S.gguf").endswith("/m-Q4_K_S.gguf"))
        self.hub.forget()
        _, err = self.run_program("info", "gguf", "-m", ID, "-f", "m-Q8_0.gguf", code=1)
        self.assertIn("m-Q8_0.gguf", err)  # fetched, and found to be noise
        self.assertEqual(self.fetched(), ["m-Q8_0.gguf"])

    def test_a_missing_shard_is_named(self):
        del self.hub.repositories[ID].commits[self.hub.repositories[ID].refs["main"]][
            "BF16/m-BF16-00002-of-00002.gguf"]
        self.assertIn("'BF16/m-BF16-00002-of-00002.gguf' is not there",
                      self.pull(ID + ":BF16", code=1))


class Revisions(HubCase):
    def test_branches_tags_and_commits(self):
        files = small_model()
        repository = self.add(ID, files)
        for ref in ("v1.0", "refs/pr/7"):
            changed = {**files, "config.json": files["config.json"] + ref.encode()}
            commit = repository.commit(ref, changed)
            path = self.pull(ID, "--revision", ref)
            self.assertTrue(path.endswith(commit))
            self.assert_snapshot(path, changed)
            with open(os.path.join(self.cache, FOLDER, "refs", ref), encoding="utf-8") as file:
                self.assertEqual(file.read(), commit)
        self.assertIn("/revision/refs%2Fpr%2F7", self.hub.requests[-1].path
                      + "".join(r.path for r in self.hub.requests))

    def test_a_complete_commit_needs_no_connection(self):
        commit = self.add(ID, small_model()).refs["main"]
        self.pull(ID, "--revision", commit)
        self.hub.forget()
        self.pull(ID, "--revision", commit)
        self.assertEqual(self.hub.requests, [])

    def test_an_incomplete_commit_is_completed(self):
        commit = self.add(ID, small_model()).refs["main"]
        path = self.pull(ID)
        os.remove(os.path.join(path, "tokenizer.json"))
        self.hub.forget()
        self.pull(ID, "--revision", commit)
        self.assertTrue(os.path.exists(os.path.join(path, "tokenizer.json")))
        self.assertEqual(self.hub.asked(method="GET", pattern="/resolve/"), [])  # the blob is there

    def test_what_is_no_revision_is_refused(self):
        self.add(ID, small_model())
        for revision in ("../../x", "/etc", "a b", "", "x\\y", "a..b"):
            err = self.pull(ID, "--revision", revision, code=1)
            self.assertIn("is no revision", err)
        self.assertEqual(self.hub.requests, [])

    def test_a_missing_revision_is_said(self):
        self.add(ID, small_model())
        err = self.pull(ID, "--revision", "v9", code=1)
        self.assertIn("has no revision 'v9'", err)


class Offline(HubCase):
    def test_no_request_is_made(self):
        self.add(ID, small_model())
        path = self.pull(ID)
        self.hub.forget()
        self.assertEqual(self.pull(ID, HF_HUB_OFFLINE="1"), path)
        self.assertEqual(self.hub.requests, [])

    def test_no_socket_is_opened(self):
        strace = shutil.which("strace")
        if not strace:
            self.skipTest("strace is not installed")
        self.add(ID, small_model())
        self.pull(ID)
        log = os.path.join(self.root, "log")
        result = subprocess.run([strace, "-f", "-e", "trace=socket,connect", "-o", log,
                                 os.environ["MISTRAL_BIN_DIR"] + "/mistralcpp", "pull", ID],
                                env=self.environment(HF_HUB_OFFLINE="1"), capture_output=True,
                                check=False)
        if result.returncode != 0:
            self.skipTest("strace may not trace here")
        with open(log, encoding="utf-8") as file:
            self.assertNotIn("socket(", file.read())

    def test_a_hub_that_is_away_leaves_what_is_cached(self):
        self.add(ID, small_model())
        path = self.pull(ID)
        for server in self.hub.servers:
            server.shutdown()
            server.server_close()
        out, err = self.run_program("pull", ID)
        self.assertEqual(out.strip(), path)
        self.assertIn("cannot be reached", err)
        self.assertIn("as it was last fetched", err)
        self.hub.servers.clear()

    def test_a_hub_that_is_out_of_order_leaves_what_is_cached(self):
        self.add(ID, small_model())
        path = self.pull(ID)
        self.hub.fault("hub", "/api/", times=99, status=503)
        out, err = self.run_program("pull", ID)
        self.assertEqual(out.strip(), path)
        self.assertIn("HTTP 503", err)

    def test_neither_network_nor_cache_says_both(self):
        _, err = self.run_program("info", "-m", ID, code=1, HF_HUB_OFFLINE="1")
        self.assertIn("no such file or folder", err)
        self.assertIn("is not in the cache " + self.cache, err)
        self.assertIn("HF_HUB_OFFLINE", err)
        err = self.pull(ID, code=1, HF_ENDPOINT="http://127.0.0.1:9")
        self.assertIn("is not in the cache", err)
        self.assertIn("cannot be reached", err)

    def test_a_part_of_a_model_is_not_a_model(self):
        self.add(ID, small_model())
        path = self.pull(ID)
        os.remove(os.path.join(path, "model.safetensors"))
        self.assertIn("not all of it", self.pull(ID, code=1, HF_HUB_OFFLINE="1"))


class Tokens(HubCase):
    SECRET = "hf_secretTokenOfTheTests"

    def setUp(self):
        super().setUp()
        self.repository = self.add(ID, small_model())
        self.repository.token = self.SECRET

    def write_token(self, path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_all_sources(self):
        file = self.write_token(os.path.join(self.root, "my-token"), self.SECRET + "\n")
        for source, variables in (
                ("literal:" + self.SECRET, {}), ("env:MY_TOKEN", {"MY_TOKEN": self.SECRET}),
                ("env", {"HUGGING_FACE_HUB_TOKEN": self.SECRET}), ("path:" + file, {}),
                ("cache", {"HF_TOKEN": f" {self.SECRET}\n"}), ("cache", {"HF_TOKEN_PATH": file})):
            with self.subTest(source):
                shutil.rmtree(self.cache, ignore_errors=True)
                self.pull(ID, "--token-source", source, **variables)
        shutil.rmtree(self.cache)
        self.write_token(os.path.join(self.home, "token"), self.SECRET)
        self.pull(ID)
        shutil.rmtree(self.cache)
        self.assertIn("HTTP 401", self.pull(ID, "--token-source", "none", code=1))

    def test_wrong_sources(self):
        for source, message in (("literal", "Expected a value for 'literal'"),
                                ("path:", "Expected a value for 'path'"),
                                ("hf_secret", "Invalid token source format"),
                                ("literal:two words", "blanks")):
            err = self.pull(ID, "--token-source", source, code=1)
            self.assertIn(message, err)
            self.assertNotIn("hf_secret", err)
        self.assertEqual(self.hub.requests, [])
        err = self.pull(ID, "--token-source", "path:/no/such", "--log-level", "info", code=1)
        self.assertIn('Could not load token at "/no/such", using no HF token.', err)

    def test_the_token_goes_to_the_hub_only_and_into_no_message(self):
        out, err = self.run_program("pull", ID, "--log-level", "trace",
                                    "--token-source", "literal:" + self.SECRET)
        self.assertTrue(self.hub.asked("storage"))
        for request in self.hub.asked("storage"):
            self.assertIsNone(request.headers.get("Authorization"))
        for request in self.hub.asked("hub"):
            self.assertEqual(request.headers.get("Authorization"), "Bearer " + self.SECRET)
        self.assertNotIn(self.SECRET, out + err)
        self.assertNotIn("signature=secret", out + err)

    def test_a_redirected_listing_does_not_take_the_token_along(self):
        self.hub.fault("hub", "/api/models/", status=302,
                       headers={"Location": self.hub.storage + "/elsewhere"})
        self.pull(ID, "--token-source", "literal:" + self.SECRET, code=1)
        for request in self.hub.asked("storage"):
            self.assertIsNone(request.headers.get("Authorization"))
        self.assertTrue(self.hub.asked("storage", pattern="/elsewhere"))

    def test_gated_without_a_token_says_how_to_get_one(self):
        self.repository.gated = True
        err = self.pull(ID, code=1)
        for part in (ID, "private or gated", "HTTP 401", "/settings/tokens", "HF_TOKEN",
                     "--token-source"):
            self.assertIn(part, err)

    def test_gated_with_a_token_that_may_not_says_so(self):
        self.repository.gated = True
        err = self.pull(ID, "--token-source", "literal:hf_other", code=1)
        for part in (ID, "gated (HTTP 403)", "ask for access", "--token-source literal"):
            self.assertIn(part, err)
        self.assertNotIn("hf_other", err)

    def test_missing_repositories(self):
        self.assertIn("HTTP 401", self.pull("org/missing", code=1))
        self.hub.frank = True
        self.assertIn("does not exist on the hub (HTTP 404)", self.pull("org/missing", code=1))


class Listings(HubCase):
    def test_names_that_would_leave_the_folder_are_left_out(self):
        files = small_model()
        evil = ["../evil.safetensors", "/etc/evil.safetensors", "a/../../evil.bin", "..\\evil.bin",
                "nul\0.safetensors", "a//b.bin", "./c.bin", "line\n.bin", ""]
        self.add(ID, files).extra_names = evil
        out, err = self.run_program("pull", ID)
        self.assertEqual(sorted(os.listdir(out.strip())), sorted(files))
        self.assertEqual(err.count("could leave its folder"), len(evil))
        self.assertNotIn("\0", err)

    def test_names_that_must_be_encoded(self):
        files = {"m Q8_0 #1 100% ü.gguf": b"content"}
        self.add(ID, files)
        self.assert_snapshot(os.path.dirname(self.pull(ID)), files)

    def test_answers_that_are_none(self):
        for body, message in ((b"<html>", "not a JSON object"), (b"[]", "not a JSON object"),
                              (b'{"siblings": []}', "no commit"),
                              (b'{"sha": "../../x", "siblings": []}', "no commit"),
                              (b'{"sha": "%s"}' % (b"a" * 40), "no list of files"),
                              (b'{"sha": "%s", "siblings": [1]}' % (b"a" * 40), "no name"),
                              (b'{"a":' + b"[" * 100_000, "not a JSON object"),
                              (b"x" * (65 << 20), "longer than it may be")):
            self.hub.fault("hub", "/api/", status=200, body=body)
            self.assertIn(message, self.pull(ID, code=1))

    def test_an_etag_cannot_be_a_path(self):
        self.add(ID, small_model())
        self.hub.fault("hub", "config.json", times=99, etag="../../../../evil")
        self.assertIn("no etag", self.pull(ID, code=1))

    def test_a_file_of_another_commit_is_refused(self):
        self.add(ID, small_model())
        self.hub.fault("hub", "/resolve/.*config.json", times=9, status=200,
                       headers={"X-Repo-Commit": "f" * 40, "ETag": '"' + "a" * 40 + '"'})
        self.assertIn("X-Repo-Commit", self.pull(ID, code=1))

    def test_redirects_end(self):
        self.hub.fault("hub", "/", times=99, status=302, headers={"Location": "/again"})
        self.assertIn("redirects", self.pull(ID, code=1))
        self.hub.forget()
        self.hub.fault("hub", "/", times=99, status=302, headers={"Location": "file:///etc/passwd"})
        self.assertIn("no http(s) URL", self.pull(ID, code=1))


class Encryption(HubCase):
    def setUp(self):
        super().setUp()
        self.certificate = os.path.join(self.root, "certificate.pem")
        made = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
             self.certificate + ".key", "-out", self.certificate, "-days", "2", "-subj",
             "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, text=True,
            env=clean_environment())
        self.assertEqual(made.returncode, 0, made.stderr)
        with open(self.certificate + ".key", encoding="utf-8") as key, \
                open(self.certificate, "a", encoding="utf-8") as both:
            both.write(key.read())
        self.hub = self.enterContext(Hub(self.certificate))
        self.add(ID, small_model())

    def test_a_certificate_that_nobody_vouches_for_is_refused(self):
        err = self.pull(ID, code=1)
        self.assertIn("no secure connection", err)
        self.assertIn("SSL_CERT_FILE", err)
        self.assertEqual(self.hub.requests, [])

    def test_a_certificate_that_is_named_is_trusted(self):
        self.pull(ID, SSL_CERT_FILE=self.certificate)

    def test_encryption_is_not_given_up_on_the_way(self):
        other = self.enterContext(Hub())
        self.hub.fault("hub", "/api/", status=302,
                       headers={"Location": other.endpoint.replace("127.0.0.1", "example.invalid")})
        err = self.pull(ID, code=1, SSL_CERT_FILE=self.certificate)
        self.assertIn("not encrypted", err)


class CacheCommand(HubCase):
    def test_lists_and_deletes(self):
        out, _ = self.run_program("cache", "list")
        self.assertIn("0 models", out)
        files = small_model()
        repository = self.add(ID, files)
        old = repository.refs["main"]
        self.pull(ID)
        changed = {**files, "config.json": files["config.json"] + b"\n"}
        new = repository.commit("v2", changed)
        self.pull(ID, "--revision", "v2")
        out, _ = self.run_program("cache", "list", "--json")
        model = json.loads(out)["models"][0]
        self.assertEqual(model["id"], ID)
        self.assertEqual({r["commit"]: (r["refs"], r["files"], r["bytes"])
                          for r in model["revisions"]},
                         {old: (["main"], len(files), sum(map(len, files.values()))),
                          new: (["v2"], len(files), sum(map(len, changed.values())))})
        self.assertEqual(model["bytes"], sum(map(len, files.values())) + len(changed["config.json"]))
        out, _ = self.run_program("cache", "list")
        self.assertIn(ID, out)
        self.assertIn(old[:12], out)

        self.run_program("cache", "rm", ID, "--revision", "v2")
        self.assert_snapshot(self.pull(ID, HF_HUB_OFFLINE="1"), files)
        self.assertFalse(os.path.exists(os.path.join(self.cache, FOLDER, "refs", "v2")))
        blobs = os.listdir(os.path.join(self.cache, FOLDER, "blobs"))
        self.assertNotIn(git_sha1(changed["config.json"]), blobs)
        self.run_program("cache", "rm", ID)
        self.assertFalse(os.path.exists(os.path.join(self.cache, FOLDER)))
        self.assertIn("is not in the cache", self.run_program("cache", "rm", ID, code=1)[1])

    def test_deletes_nothing_outside(self):
        outside = os.path.join(self.root, "outside")
        with open(outside, "wb") as file:
            file.write(b"mine")
        commit = self.add(ID, small_model()).refs["main"]
        path = self.pull(ID)
        os.symlink(outside, os.path.join(path, "link.bin"))
        self.run_program("cache", "rm", ID, "--revision", commit)
        self.assertTrue(os.path.exists(outside))
        for word in ("..", "../..", ".", "/", "org/../x"):
            self.run_program("cache", "rm", word, code=1)
        self.run_program("cache", "burn", code=2)


class Environment(HubCase):
    def test_where_the_cache_is(self):
        self.add(ID, small_model())
        for variables, folder in (
                ({"HF_HUB_CACHE": self.root + "/one"}, "one"),
                ({"HF_HUB_CACHE": "~/two"}, "two"),
                ({"HF_HOME": "$HOME/three"}, "three/hub"),
                ({"HF_HOME": None, "XDG_CACHE_HOME": self.root + "/four"}, "four/huggingface/hub"),
                ({"HF_HOME": None}, ".cache/huggingface/hub")):
            path = self.pull(ID, **variables)
            self.assertTrue(path.startswith(os.path.join(self.root, folder, FOLDER)), path)

    def test_a_broken_endpoint_is_said(self):
        for endpoint in ("ftp://x", "not a url", "http://user:secret@127.0.0.1/"):
            err = self.pull(ID, code=1, HF_ENDPOINT=endpoint)
            self.assertIn("HF_ENDPOINT", err)
            self.assertNotIn("secret", err)


if __name__ == "__main__":
    unittest.main()
