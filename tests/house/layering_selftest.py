#!/usr/bin/env python3
"""Shows that layering.py finds each kind of wrong arrow in small trees made for it."""

import os
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "layering.py")

SOUND = {
    "include/mistral/types.h": "#include <string>\n",
    "include/mistral/model.h": '#include <memory>\n#include "mistral/types.h"\n',
    "src/core/error.h": "#include <string>\n#include <fmt/format.h>\n",
    "src/core/CMakeLists.txt": "mistral_room(core LINKS fmt::fmt)\n",
    "src/tensor/shape.h": '#include "core/error.h"\n',
    "src/tensor/CMakeLists.txt": "mistral_room(tensor LINKS mistral::core)\n",
    "src/quant/blocks.h": '#include "tensor/shape.h"\n#include "quant/blocks.inc"\n',
    "src/quant/blocks.inc": "",
    "src/quant/CMakeLists.txt": "mistral_room(quant LINKS mistral::tensor)\n",
    "src/formats/gguf.h": '#include "tensor/shape.h"\n',
    "src/formats/CMakeLists.txt": "mistral_room(formats LINKS mistral::tensor mistral::core)\n",
    "src/text/tokenizer/tokenizer.h": '#include "formats/gguf.h"\n#include "mistral/types.h"\n',
    "src/text/CMakeLists.txt": "mistral_room(text LINKS mistral::formats)\n",
    "src/cli/main.cpp": '#include "mistral/model.h"\n',
    "src/cli/CMakeLists.txt":
        "mistral_room(cli LINKS mistral::text)\n"
        "target_link_libraries(mistralcpp PRIVATE mistral_cli mistral_compile_options)\n",
}


class Layering(unittest.TestCase):
    def check(self, **changes):
        """Runs the check over the sound tree with some files replaced."""
        files = dict(SOUND)
        files.update({name.replace("__", "/").replace("_DOT_", "."): text
                      for name, text in changes.items()})
        with tempfile.TemporaryDirectory() as root:
            for name, text in files.items():
                path = os.path.join(root, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            return subprocess.run([sys.executable, SCRIPT, root], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)

    def assert_rejected(self, result, text):
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn(text, result.stdout)
        self.assertEqual(len(result.stdout.splitlines()), 1, result.stdout)

    def test_sound_tree_passes(self):
        result = self.check()
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_upward_include(self):
        result = self.check(src__core__error_DOT_h='// error\n#include "tensor/shape.h"\n')
        self.assertEqual(result.returncode, 1)
        self.assertIn("src/core/error.h:2: core may not use tensor (tensor/shape.h)", result.stdout)

    def test_upward_include_in_a_subfolder_with_odd_spacing(self):
        result = self.check(src__text__deep__er__x_DOT_cpp='  #  include   "cli/main.cpp"\n')
        self.assertEqual(result.returncode, 1)
        self.assertIn("src/text/deep/er/x.cpp:1: text may not use cli", result.stdout)

    def test_upward_include_in_angle_brackets(self):
        result = self.check(src__core__error_DOT_h="#include <tensor/shape.h>\n")
        self.assertEqual(result.returncode, 1)
        self.assertIn("core may not use tensor", result.stdout)

    def test_sideways_include(self):
        result = self.check(src__formats__gguf_DOT_h='#include "quant/blocks.h"\n')
        self.assertEqual(result.returncode, 1)
        self.assertIn("formats may not use quant", result.stdout)

    def test_upward_link(self):
        self.assert_rejected(
            self.check(src__core__CMakeLists_DOT_txt="mistral_room(core LINKS\n  mistral::cli)\n"),
            "src/core/CMakeLists.txt:2: core may not link cli")

    def test_upward_link_by_plain_target_name(self):
        self.assert_rejected(
            self.check(src__core__CMakeLists_DOT_txt=(
                "mistral_room(core)\ntarget_link_libraries(mistral_core PUBLIC mistral_cli)\n")),
            "src/core/CMakeLists.txt:2: core may not link cli")

    def test_include_without_link(self):
        self.assert_rejected(
            self.check(src__quant__CMakeLists_DOT_txt="mistral_room(quant LINKS mistral::core)\n"),
            "src/quant/blocks.h:1: quant includes tensor but does not link it")

    def test_room_without_target(self):
        self.assert_rejected(self.check(src__ops__CMakeLists_DOT_txt="", src__nn__x_DOT_h=""),
                             "src/nn/CMakeLists.txt:1: nn has no CMake target")

    def test_unknown_room(self):
        self.assert_rejected(self.check(src__attic__x_DOT_h=""),
                             "attic has no place in the order of the rooms")

    def test_relative_include(self):
        self.assert_rejected(self.check(src__core__x_DOT_cpp='#include "error.h"\n'),
                             '"error.h" must be written from src/')
        self.assert_rejected(self.check(src__core__x_DOT_cpp='#include "../core/error.h"\n'),
                             "must be written from src/")

    def test_missing_header(self):
        self.assert_rejected(self.check(src__core__x_DOT_cpp='#include "core/gone.h"\n'),
                             "there is no header core/gone.h")

    def test_public_header_with_an_inner_one(self):
        self.assert_rejected(self.check(include__mistral__types_DOT_h='#include "core/error.h"\n'),
                             "include/mistral/types.h:1: public headers may include only")

    def test_public_header_with_a_third_party_one(self):
        self.assert_rejected(
            self.check(include__mistral__types_DOT_h="#include <nlohmann/json.hpp>\n"),
            "include/mistral/types.h:1: public headers may include only")

    def test_whole_public_api_in_a_low_room(self):
        self.assert_rejected(self.check(src__core__x_DOT_h='#include "mistral/model.h"\n'),
                             "core may use only ['mistral/types.h']")


if __name__ == "__main__":
    unittest.main()
