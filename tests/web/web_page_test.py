#!/usr/bin/env python3
"""The chat page in Chromium, against a server that answers as each test tells it.

Needs Debian's chromium and chromium-driver; without them the test is left out (exit status 77), but
in CI that is a failure. With $MISTRAL_SCREENSHOTS set, pictures of the page are put into that folder.
"""

import glob
import json
import os
import random
import re
import sys
import threading
import time
import unittest

from fake_server import FakeServer, WEB, chunk, text_chunks
from webdriver import Browser, find_programs

SKIPPED = 77
SHOWCASE = """# A heading

Some **bold**, *italic*, ***both***, ~~gone~~ and `code`, a [link](https://example.org/a_b) and \
https://example.org/x_y(z).  
A second line with snake_case_name, 2 * 3 and \\*stars\\*.

## Lists

1. First
   - nested *one*
   - nested two
2. Second

   with a paragraph

- [x] done
- [ ] open

> A quote
> in two lines

| Name | Value |
|:-----|------:|
| a    | 1     |
| b `x\\|` | 200  |

```python
def f(x):
    return x < 3  # <b>no markup</b>
```

***

The end."""

ATTACKS = [
    "<script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "<svg onload=window.hacked=1><svg/onload=window.hacked=1>",
    "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe>",
    "<a href=javascript:window.hacked=1>x</a>",
    "[x](javascript:window.hacked=1)",
    "[x](JaVaScRiPt:window.hacked=1)",
    "[x](java\nscript:window.hacked=1)",
    "[x](\x01javascript:window.hacked=1)",
    "[x](&#106;avascript:window.hacked=1)",
    "[x](data:text/html,<script>window.hacked=1</script>)",
    "[x](vbscript:x) [x](file:///etc/passwd) [x](blob:x) [x](//evil.example/) [x](/docs)",
    "![x](https://evil.example/a.png) ![x](javascript:window.hacked=1)",
    "[![x](https://evil.example/a.png)](javascript:window.hacked=1)",
    "<javascript:window.hacked=1> <https://a.example/\"onclick=window.hacked=1>",
    "https://a.example/\"onmouseover=\"window.hacked=1 https://a.example/'><script>window.hacked=1</script>",
    "[x](https://a.example/ \"t\" onclick=window.hacked=1)",
    "```<script>window.hacked=1</script>\n</code></pre><script>window.hacked=1</script>\n```",
    "```\" onclick=\"window.hacked=1\nx\n```",
    "`<script>window.hacked=1</script>`",
    "# <script>window.hacked=1</script>",
    "| <script>window.hacked=1</script> | b |\n|---|---|\n| <img src=x onerror=window.hacked=1> | y |",
    "> <script>window.hacked=1</script>\n\n- <img src=x onerror=window.hacked=1>",
    "<style>*{display:none}</style><link rel=stylesheet href=https://evil.example/x.css>",
    "<form action=https://evil.example><input name=x><button>x</button></form>",
    "<base href=https://evil.example/><meta http-equiv=refresh content='0;url=https://evil.example'>",
    "&lt;script&gt;window.hacked=1&lt;/script&gt; &#60;script&#62;window.hacked=1",
    "</div></main></body></html><script>window.hacked=1</script>",
    "<!-- --><![CDATA[ <script>window.hacked=1</script> ]]>",
    "[a][b]\n\n[b]: javascript:window.hacked=1",
    "<details open ontoggle=window.hacked=1><math><mtext></form><form><mglyph><style></math>",
]

# What stands in answers but must not come from there: (names, attributes, links).
FOREIGN = """
  const allowed = {A: ['href', 'target', 'rel'], DIV: ['class'], PRE: ['tabindex'], OL: ['start'], LI: ['class'],
                   INPUT: ['type', 'disabled', 'checked'], TH: ['class'], TD: ['class'], TABLE: [], THEAD: [], TBODY: [],
                   TR: [], P: [], EM: [], STRONG: [], DEL: [], CODE: [], BLOCKQUOTE: [], HR: [], BR: [], UL: [],
                   H2: [], H3: [], H4: [], H5: [], H6: [], SPAN: []};
  const wrong = [];
  for (const root of arguments[0]) {
    for (const node of root.querySelectorAll('*')) {
      if (node.closest('button')) continue;  // ours, with its picture
      const names = allowed[node.tagName];
      if (!names) { wrong.push(node.tagName); continue; }
      for (const {name} of node.attributes) if (!names.includes(name)) wrong.push(`${node.tagName} ${name}`);
      if (node.tagName === 'A' && !/^(https?|mailto):/.test(node.href)) wrong.push(node.href);
      if (node.tagName === 'A' && node.rel !== 'noopener noreferrer nofollow') wrong.push('rel ' + node.rel);
    }
  }
  return wrong;
"""


class PageCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()

    def setUp(self):
        # Another port is another origin: each test begins with an empty browser.
        self.server = FakeServer()
        self.browser.emulate(1200, 800)
        self.browser.log()
        self.open()

    def tearDown(self):
        self.server.stop()

    def open(self):
        self.browser.open(self.server.url)
        self.ready()

    def ready(self):
        self.browser.wait("the model's name", lambda: self.browser.count("#model option") or self.browser.shown("#key"))

    def send(self, text):
        self.browser.type("#input", text)
        self.browser.press("enter")

    def idle(self):
        self.browser.wait("the end of the answer", lambda: self.browser.run(
            "return document.getElementById('stop').hidden && !!document.querySelector('.assistant')"))

    def ask(self, text, answer=None):
        if answer is not None:
            self.server.answers.append(answer)
        self.send(text)
        self.idle()

    def button(self, label, within=""):
        self.browser.click(f"{within} button[aria-label='{label}']")

    def answers(self):
        return self.browser.texts(".assistant .markdown")

    def users(self):
        return self.browser.texts(".bubble")

    def picture(self, name):
        folder = os.environ.get("MISTRAL_SCREENSHOTS")
        if folder:
            self.browser.screenshot(os.path.join(folder, f"{name}.png"))


class Chat(PageCase):
    def test_an_answer_shows_while_it_is_written(self):
        go_on = threading.Event()
        self.server.answers.append([chunk({"role": "assistant", "content": ""}), *text_chunks("Half of **it"), go_on,
                                    *text_chunks("** all."), chunk({}, "stop"),
                                    chunk(usage={"prompt_tokens": 9, "completion_tokens": 40})])
        self.send("Hello")
        self.browser.wait("the first half", lambda: "Half of" in self.browser.text(".assistant"))
        self.assertTrue(self.browser.shown("#stop"))
        self.assertFalse(self.browser.shown("#send"))
        self.picture("streaming")
        time.sleep(0.2)  # a rate is told of answers that took a while
        go_on.set()
        self.idle()
        self.assertEqual(self.answers(), ["Half of it all."])
        self.assertEqual(self.users(), ["Hello"])
        self.assertEqual(self.browser.texts(".markdown strong"), ["it"])
        self.assertRegex(self.browser.text(".stats"), r"^[\d.]+ tokens/s · 40 tokens · first after \d+\.\d+ s$")
        request = self.server.requests[0]
        self.assertEqual(request["messages"], [{"role": "user", "content": "Hello"}])
        self.assertEqual(request["stream"], True)
        self.assertEqual(request["model"], "fake-model")
        self.assertEqual(set(request), {"messages", "model", "stream", "stream_options"})
        self.assertEqual(self.browser.log(), [])

    def test_enter_sends_and_shift_enter_breaks_the_line(self):
        self.browser.type("#input", "one")
        self.browser.press("shift", "enter")
        self.browser.type("#input", "two")
        self.assertEqual(self.server.requests, [])
        self.browser.press("enter")
        self.idle()
        self.assertEqual(self.server.requests[0]["messages"][0]["content"], "one\ntwo")
        self.send("   ")
        self.assertEqual(len(self.server.requests), 1)

    def test_history_is_sent(self):
        self.ask("one", "first answer")
        self.ask("two", "second answer")
        self.assertEqual([m["content"] for m in self.server.requests[1]["messages"]], ["one", "first answer", "two"])

    def test_stop_ends_the_request_and_keeps_the_text(self):
        for way in ("button", "escape"):
            self.server.left.clear()
            self.server.answers.append([*text_chunks("Only this"), threading.Event()])
            self.send("Go")
            self.browser.wait("text", lambda: "Only this" in (self.answers() or [""])[-1])
            if way == "button":
                self.browser.click("#stop")
            else:
                self.browser.press("escape")
            self.idle()
            self.assertTrue(self.server.left.wait(30), "the server is not left")
            self.assertEqual(self.answers()[-1], "Only this")
            self.assertEqual(self.browser.texts(".note")[-1], "Stopped.")

    def test_regenerate_makes_a_version(self):
        self.ask("Q", "first")
        self.server.answers.append("second")
        self.button("Regenerate")
        self.browser.wait("second", lambda: self.answers() == ["second"])
        self.idle()
        self.assertEqual(self.server.requests[0]["messages"], self.server.requests[1]["messages"])
        self.assertEqual(self.browser.text(".assistant .branches"), "2 / 2")
        self.button("Previous version")
        self.assertEqual(self.answers(), ["first"])
        self.button("Next version")
        self.assertEqual(self.answers(), ["second"])

    def test_edit_branches_off(self):
        self.ask("Q1", "A1")
        self.ask("Q2", "A2")
        self.button("Edit message", ".user")
        self.browser.run("document.querySelector('.edit-field').value = ''")
        self.server.answers.append("other answer")
        self.browser.type(".edit-field", "other question")
        self.browser.press("enter")
        self.browser.wait("the other answer", lambda: self.answers() == ["other answer"])
        self.idle()
        self.assertEqual(self.users(), ["other question"])
        self.assertEqual([m["content"] for m in self.server.requests[2]["messages"]], ["other question"])
        self.button("Previous version", ".user")
        self.assertEqual(self.users(), ["Q1", "Q2"])
        self.assertEqual(self.answers(), ["A1", "A2"])
        self.button("Edit message", ".user")
        self.browser.press("escape")
        self.assertEqual(self.users(), ["Q1", "Q2"])
        self.assertEqual(len(self.server.requests), 3)

    def test_reasoning_is_folded(self):
        self.ask("Q", [chunk({"reasoning_content": "I think <b>so</b>"}), *text_chunks("Yes."), chunk({}, "stop")])
        self.assertFalse(self.browser.shown(".reasoning-text"))
        self.browser.click(".reasoning summary")
        self.assertEqual(self.browser.text(".reasoning-text"), "I think <b>so</b>")
        self.assertEqual(self.answers(), ["Yes."])
        self.ask("again", "ok")
        self.assertEqual([m["content"] for m in self.server.requests[1]["messages"]], ["Q", "Yes.", "again"])

    def test_the_limit_of_tokens_is_told(self):
        self.ask("Q", [*text_chunks("Cut"), chunk({}, "length")])
        self.assertEqual(self.browser.text(".note"), "The answer reached the limit of tokens.")

    def test_an_answer_goes_on_in_another_conversation(self):
        go_on = threading.Event()
        self.server.answers.append([*text_chunks("Begun "), go_on, *text_chunks("and done"), chunk({}, "stop")])
        self.send("slow one")
        self.browser.wait("text", lambda: self.answers() == ["Begun"])
        self.browser.click("#new-chat")
        self.assertEqual(self.answers(), [])
        self.ask("quick one", "quick answer")
        self.assertEqual(self.answers(), ["quick answer"])
        go_on.set()
        self.browser.wait("its end", lambda: self.browser.count(".dot") == 0)
        self.browser.click("#conversations li:not(.current) .name")
        self.assertEqual(self.answers(), ["Begun and done"])

    def test_reading_above_is_not_disturbed(self):
        go_on = threading.Event()
        self.server.answers.append([*text_chunks("line\n\n" * 100, 60), go_on, *text_chunks("more\n\n" * 30, 60),
                                    chunk({}, "stop")])
        self.send("long")
        at_end = ("const s = document.getElementById('scroll');"
                  "return s.scrollHeight > 2000 && s.scrollHeight - s.scrollTop - s.clientHeight < 2")
        self.browser.wait("the end in sight", lambda: self.browser.run(at_end))
        self.browser.run("document.getElementById('scroll').scrollTop = 100")
        self.browser.wait("the way back", lambda: self.browser.shown("#to-end"))
        go_on.set()
        self.idle()
        self.assertEqual(self.browser.run("return document.getElementById('scroll').scrollTop"), 100)
        self.browser.click("#to-end")
        self.assertTrue(self.browser.run(at_end))


class Errors(PageCase):
    def test_errors_are_told_and_can_be_retried(self):
        for answer, told in [((429, "Too many requests.", {"Retry_After": "1"}), "Too many requests."),
                             ((503, "", {}), "The server is not ready yet."),
                             ((500, "It broke.", {}), "It broke."),
                             ((400, "temperature is too hot", {}), "temperature is too hot"),
                             ([chunk({"content": "x"}), {"error": {"message": "out of memory"}}], "out of memory"),
                             ([b"data: {broken\n\n"], "The server sent something that is not an answer.")]:
            with self.subTest(told=told):
                self.open()
                self.browser.click("#new-chat")
                self.ask("Q", answer)
                self.assertIn(told, self.browser.text(".note.error"))
                self.picture("error")
                self.server.answers.append("now it works")
                self.browser.click(".note.error button")
                self.browser.wait("the answer", lambda: self.answers() == ["now it works"])
                self.idle()
                self.assertEqual(self.browser.count(".note.error"), 0)

    def test_a_wait_is_counted_down(self):
        self.ask("Q", (429, "Busy.", {"Retry_After": "300"}))
        self.assertRegex(self.browser.text(".note.error"), r"Busy\. It asks to wait (300|29\d) s\.")

    def test_a_lost_connection_keeps_what_came(self):
        self.ask("Q", [*text_chunks("This came"), None])
        self.assertEqual(self.answers(), ["This came"])
        self.assertIn("connection to the server was lost", self.browser.text(".note.error"))
        self.server.answers.append("whole")
        self.browser.click(".note.error button")
        self.browser.wait("the answer", lambda: self.answers() == ["whole"])
        self.idle()
        self.assertEqual(self.browser.text(".assistant .branches"), "2 / 2")

    def test_a_server_that_is_gone(self):
        port = self.server.server_port
        self.server.stop()
        self.ask("Q")
        self.assertIn("cannot be reached", self.browser.text(".note.error"))
        self.server = FakeServer(port)
        self.browser.click(".note.error button")
        self.browser.wait("the answer", lambda: self.answers() == ["You said: Q"])

    def test_the_key_is_asked_for(self):
        self.server.key = "secret-1"
        self.browser.open(self.server.url)
        self.browser.wait("the question", lambda: self.browser.shown("#key"))
        self.picture("key")
        self.browser.type("#key-input", "wrong")
        self.browser.press("enter")
        self.browser.wait("the question again", lambda: self.browser.shown("#key") and
                          self.browser.run("return document.getElementById('key-input').value") == "")
        self.browser.type("#key-input", "secret-1")
        self.browser.click("#key-remember")
        self.browser.press("enter")
        self.browser.wait("the model", lambda: self.browser.count("#model option"))
        self.ask("Q", "A")
        self.assertEqual(self.answers(), ["A"])
        self.browser.reload()
        self.ready()
        self.ask("Q2", "B")
        self.assertEqual(self.answers(), ["A", "B"])
        # A key that is withdrawn between two messages.
        self.server.key = "secret-2"
        self.send("Q3")
        self.browser.wait("the question", lambda: self.browser.shown("#key"))
        self.browser.type("#key-input", "secret-2")
        self.browser.press("enter")
        self.browser.wait("the answer", lambda: self.answers() == ["A", "B", "You said: Q3"])


class Kept(PageCase):
    def reload(self):
        self.idle()
        # The database takes a moment; the page does not wait for it.
        self.browser.run_async("await new Promise((r) => setTimeout(r, 300))")
        self.browser.reload()
        self.ready()

    def test_everything_is_there_after_a_reload(self):
        self.browser.click("#settings-open")
        self.browser.type("#system", "Be brief.")
        self.browser.type("#sampling-temperature", "0.5")
        self.browser.type("#sampling-seed", "7")
        self.browser.type("#stop-texts", "END")
        self.browser.press("escape")
        self.ask("Q1", "A1")
        self.server.answers.append("A1 again")
        self.button("Regenerate")
        self.browser.wait("it", lambda: self.answers() == ["A1 again"])
        self.reload()
        self.assertEqual(self.users(), ["Q1"])
        self.assertEqual(self.answers(), ["A1 again"])
        self.assertEqual(self.browser.text(".assistant .branches"), "2 / 2")
        self.assertRegex(self.browser.text(".stats"), "first after")
        self.ask("Q2", "A2")
        request = self.server.requests[-1]
        self.assertEqual([(m["role"], m["content"]) for m in request["messages"]],
                         [("system", "Be brief."), ("user", "Q1"), ("assistant", "A1 again"), ("user", "Q2")])
        self.assertEqual((request["temperature"], request["seed"], request["stop"]), (0.5, 7, ["END"]))
        self.browser.click("#new-chat")
        self.ask("Q3", "A3")
        self.assertEqual(self.server.requests[-1]["messages"][0], {"role": "system", "content": "Be brief."})

    def test_an_unfinished_answer_is_kept(self):
        self.server.answers.append([*text_chunks("Half an answer"), 1.5, *text_chunks(", kept."), 0.3, *text_chunks(" More"),
                                    threading.Event()])
        self.send("Q")
        self.browser.wait("text", lambda: self.answers() == ["Half an answer, kept. More"])
        self.browser.reload()
        self.ready()
        self.browser.wait("the conversation", lambda: self.browser.count("#conversations li"))
        if not self.users():
            self.browser.click("#conversations .name")
        self.assertEqual(self.users(), ["Q"])
        self.assertTrue(self.answers()[0].startswith("Half an answer,"), self.answers())
        self.assertEqual(self.browser.text(".note"), "The page was closed before the answer was complete.")

    def test_rename_and_delete(self):
        self.ask("first question", "A")
        self.browser.click("#new-chat")
        self.ask("second question", "B")
        self.assertEqual(self.browser.texts("#conversations .name"), ["second question", "first question"])
        self.button("Rename conversation", "#conversations li.current")
        self.browser.run("document.querySelector('.rename').value = ''")
        self.browser.type(".rename", "A <b>name</b>")
        self.browser.press("enter")
        self.assertEqual(self.browser.text("#title"), "A <b>name</b>")
        self.reload()
        self.assertEqual(self.browser.texts("#conversations .name"), ["A <b>name</b>", "first question"])
        self.button("Delete conversation", "#conversations li.current")
        self.browser.click("#confirm button[value=cancel]")
        self.assertEqual(self.browser.count("#conversations li"), 2)
        self.button("Delete conversation", "#conversations li.current")
        self.browser.click("#confirm button[value=yes]")
        self.assertEqual(self.browser.texts("#conversations .name"), ["first question"])
        self.assertEqual(self.answers(), [])
        self.browser.click("#conversations .name")
        self.reload()
        self.assertEqual(self.browser.texts("#conversations .name"), ["first question"])
        self.assertEqual(self.answers(), ["A"])

    def test_export(self):
        folder = os.path.join(self.browser.folder, "downloads")
        os.makedirs(folder, exist_ok=True)
        self.browser.devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=folder)
        self.ask("What?", "**That**")
        self.browser.click("#settings-open")
        for kind, ending in (("markdown", "md"), ("json", "json")):
            self.browser.click(f"#export-{kind}")
            path = os.path.join(folder, f"What.{ending}")
            self.browser.wait(path, lambda p=path: os.path.isfile(p) and os.path.getsize(p) > 0)
        with open(os.path.join(folder, "What.md"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "# What?\n\n**You**\n\nWhat?\n\n**Assistant**\n\n**That**\n")
        with open(os.path.join(folder, "What.json"), encoding="utf-8") as file:
            self.assertEqual(sorted(m["content"] for m in json.load(file)["messages"].values()), ["**That**", "What?"])

    def test_wrong_settings_are_not_sent(self):
        self.browser.click("#settings-open")
        self.browser.type("#sampling-temperature", "9")
        self.browser.type("#sampling-top_k", "1.5")
        self.browser.type("#sampling-top_p", "0.9")
        self.assertEqual(self.browser.text("#sampling-temperature-wrong"), "A number from 0 to 2")
        self.assertEqual(self.browser.text("#sampling-top_k-wrong"), "A whole number from 1 to 100000")
        self.picture("settings")
        self.browser.press("escape")
        self.ask("Q", "A")
        request = self.server.requests[-1]
        self.assertNotIn("temperature", request)
        self.assertNotIn("top_k", request)
        self.assertEqual(request["top_p"], 0.9)
        self.browser.click("#settings-open")
        self.browser.click("#sampling-reset")
        self.browser.press("escape")
        self.ask("Q", "A")
        self.assertNotIn("top_p", self.server.requests[-1])


class Markdown(PageCase):
    def test_the_showcase(self):
        self.ask("Show", SHOWCASE)
        html = self.browser.run("return document.querySelector('.markdown').innerHTML")
        self.assertEqual(re.sub(r"<button.*?</button>", "", html), (
            '<h2>A heading</h2><p>Some <strong>bold</strong>, <em>italic</em>, <em><strong>both</strong></em>, '
            '<del>gone</del> and <code>code</code>, a <a href="https://example.org/a_b" target="_blank" '
            'rel="noopener noreferrer nofollow">link</a> and <a href="https://example.org/x_y(z)" target="_blank" '
            'rel="noopener noreferrer nofollow">https://example.org/x_y(z)</a>.<br>A second line with snake_case_name, '
            '2 * 3 and *stars*.</p><h3>Lists</h3><ol><li>First<ul><li>nested <em>one</em></li><li>nested two</li></ul>'
            '</li><li>Second<p>with a paragraph</p></li></ol><ul><li class="task"><input type="checkbox" disabled=""> '
            'done</li><li class="task"><input type="checkbox" disabled="">open</li></ul>').replace("> done", ">done")
            .replace("<li>First", "<li><p>First</p>").replace("<li>Second", "<li><p>Second</p>") + (
            '<blockquote><p>A quote\nin two lines</p></blockquote><div class="table"><table><thead><tr><th>Name</th>'
            '<th class="align-end">Value</th></tr></thead><tbody><tr><td>a</td><td class="align-end">1</td></tr><tr>'
            '<td>b <code>x|</code></td><td class="align-end">200</td></tr></tbody></table></div><div class="code">'
            '<div class="code-head"><span>python</span></div><pre tabindex="0"><code>def f(x):\n    return x &lt; 3  '
            '# &lt;b&gt;no markup&lt;/b&gt;</code></pre></div><hr><p>The end.</p>'))
        self.browser.run("document.getElementById('scroll').scrollTop = 0")
        self.picture("light")
        self.browser.emulate(1200, 800, dark=True)
        self.picture("dark")

    def test_pieces_give_what_the_whole_gives(self):
        chooser = random.Random(3)
        marks = ["**", "*", "_", "`", "```\n", "\n", "\n\n", "- ", "1. ", "> ", "| a | b |\n|---|---|\n", "# ", "[x](", ")",
                 "https://a.example", "word ", "<b>", "\\", "~~", "  ", "    ", "[ ] ", "***\n", "é", "!["]
        texts = [SHOWCASE, *ATTACKS] + ["".join(chooser.choice(marks) for _ in range(chooser.randrange(40)))
                                        for _ in range(400)]
        wrong = self.browser.run_async("""
            const {MarkdownView} = await import('/web/markdown.js');
            const {codeBlock} = await import('/web/elements.js');
            const html = (pieces) => {
              const root = document.createElement('div');
              const view = new MarkdownView(root, codeBlock);
              for (const piece of pieces) view.update(piece);
              return root;
            };
            const wrong = [];
            for (const text of arguments[0]) {
              const whole = html([text]).innerHTML;
              const step = text.length > 300 ? 7 : 1;
              const pieces = [];
              for (let i = 0; i < text.length; i += step) pieces.push(text.slice(0, i));
              if (html([...pieces, text]).innerHTML !== whole) wrong.push(text);
            }
            return wrong;""", texts)
        self.assertEqual(wrong, [])
        self.browser.run_async("""
            const {MarkdownView} = await import('/web/markdown.js');
            const {codeBlock} = await import('/web/elements.js');
            document.body.dataset.test = 'yes';
            window.roots = arguments[0].map((text) => {
              const root = document.createElement('div');
              document.body.append(root);
              new MarkdownView(root, codeBlock).update(text);
              return root;
            });""", texts)
        self.assertEqual(self.browser.run("arguments[0] = window.roots;" + FOREIGN, None), [])
        self.assertIsNone(self.browser.run("return window.hacked ?? null"))

    def test_what_was_drawn_stays(self):
        same = self.browser.run_async("""
            const {MarkdownView} = await import('/web/markdown.js');
            const {codeBlock} = await import('/web/elements.js');
            const root = document.createElement('div');
            const view = new MarkdownView(root, codeBlock);
            view.update('# One\\n\\ntwo\\n\\nthr');
            const [one, two] = root.children;
            view.update('# One\\n\\ntwo\\n\\nthree\\n\\nfour');
            return root.children[0] === one && root.children[1] === two && root.textContent;""")
        self.assertEqual(same, "Onetwothreefour")

    def test_hostile_texts_take_linear_time(self):
        for text in ("*a " * 20000, "[" * 50000, "`" * 30001 + "x", "> " * 5000, "- " * 5000, "_" * 50000,
                     "**a" * 20000, "[x](" * 20000, "|" * 30000 + "\n|--|", "~~a" * 20000, "![" * 20000,
                     "https://" * 20000, " " * 100000 + "x", "`a``b" * 10000, "\\" * 50000, "1. " * 5000):
            self.browser.run_async("""
                const {MarkdownView} = await import('/web/markdown.js');
                new MarkdownView(document.createElement('div'), (text) => text).update(arguments[0]);""", text)

    def test_copy_buttons_copy_the_code(self):
        self.browser.devtools("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
        self.ask("Q", "```js\nlet a = '<b>';\n```")
        self.button("Copy code", ".markdown")
        self.browser.wait("the mark", lambda: self.browser.count(".code use[href='#i-check']"))
        self.assertEqual(self.browser.run_async("return navigator.clipboard.readText()"), "let a = '<b>';")
        self.button("Copy message", ".assistant")
        self.browser.wait("the mark", lambda: self.browser.count(".foot use[href='#i-check']"))
        self.assertEqual(self.browser.run_async("return navigator.clipboard.readText()"), "```js\nlet a = '<b>';\n```")

    def test_nothing_that_is_said_becomes_markup(self):
        text = "\n\n".join(ATTACKS)
        self.server.models = ["<img src=x onerror=window.hacked=1>", "<script>window.hacked=1</script>"]
        self.open()
        self.browser.run("document.getElementById('input').value = arguments[0]", text)
        self.ask(" ", [chunk({"reasoning_content": text}), *text_chunks(text, 5), chunk({}, "stop")])
        self.browser.click(".reasoning summary")
        self.ask("Q", (400, "<img src=x onerror=window.hacked=1>", {}))
        self.assertEqual(self.browser.text(".note.error span"), "<img src=x onerror=window.hacked=1>")
        self.browser.reload()
        self.ready()
        self.assertEqual(self.browser.run("arguments[0] = document.querySelectorAll('.markdown');" + FOREIGN, None), [])
        self.assertEqual(self.browser.run("return document.querySelectorAll('.bubble *, .reasoning-text *, .name *').length"), 0)
        self.assertEqual(self.browser.count("script"), 2)
        self.assertEqual(self.browser.count("iframe, object, embed, base, style, link[rel=stylesheet] ~ link[rel=stylesheet]"), 0)
        self.assertIn("<script>window.hacked=1</script>", self.browser.text(".markdown"))
        self.assertIsNone(self.browser.run("return window.hacked ?? null"))
        # Nothing was even tried: the policy would have said so.
        self.assertEqual([line for line in self.browser.log() if "400 (Bad Request)" not in line], [])
        self.assertEqual({path for path in self.server.seen if not path.startswith("/web/")}, {"/", "/v1/models"})


class Looks(PageCase):
    def colours(self):
        return self.browser.run("""
            const luminance = (text) => {
              const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((v) => {
                const c = v / 255;
                return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
              });
              return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const contrast = (a, b) => {
              const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
              return (x + 0.05) / (y + 0.05);
            };
            const back = getComputedStyle(document.body).backgroundColor;
            const of = (selector) => contrast(getComputedStyle(document.querySelector(selector)).color, back);
            return {dark: luminance(back) < 0.2, text: of('body'), soft: of('.stats'), link: of('.markdown a')};""")

    def test_light_and_dark(self):
        self.ask("Q", "A [link](https://example.org)")
        for system in (False, True):
            self.browser.emulate(1200, 800, dark=system)
            colours = self.colours()
            self.assertEqual(colours["dark"], system)
            for name in ("text", "soft", "link"):
                self.assertGreaterEqual(colours[name], 4.5, (system, name))
        self.browser.emulate(1200, 800, dark=False)
        seen = []
        for _ in range(3):
            self.browser.click("#theme")
            seen.append(self.colours()["dark"])
        self.assertEqual(seen, [False, True, False])
        self.browser.click("#theme")
        self.browser.click("#theme")
        self.browser.reload()
        self.ready()
        self.assertTrue(self.browser.run("return document.documentElement.dataset.theme === 'dark'"))

    def test_a_phone(self):
        self.ask("A question with averyveryveryveryveryverylongwordthatdoesnotfitintoanarrowcolumn" * 2,
                 SHOWCASE + "\n\n```\n" + "x" * 300 + "\n```\n\n| " + " | ".join("abcdefgh" * 2 for _ in range(8)) + " |\n|" +
                 "---|" * 8 + "\n\nhttps://example.org/" + "y" * 200)
        for width in (390, 320):
            self.browser.emulate(width, 640, mobile=True)
            self.assertEqual(self.browser.run("return [document.documentElement.scrollWidth, "
                                              "document.getElementById('scroll').scrollWidth <= innerWidth]"),
                             [width, True])
            self.browser.wait("no list", lambda: not self.browser.shown("#sidebar"))
            self.browser.click("#sidebar-open")
            self.browser.wait("the list", lambda: self.browser.run(
                "return document.getElementById('sidebar').getBoundingClientRect().left === 0"))
            self.assertTrue(self.browser.shown("#sidebar"))
            self.picture("phone-list")
            self.browser.press("escape")
            self.browser.wait("no list", lambda: not self.browser.shown("#sidebar"))
            self.picture("phone")
            small = self.browser.run("""
                return [...document.querySelectorAll('button')].filter((b) => b.checkVisibility() && !b.closest('.branches'))
                  .filter((b) => Math.min(b.offsetWidth, b.offsetHeight) < 34).map((b) => b.outerHTML);""")
            self.assertEqual(small, [])
            self.browser.click("#settings-open")
            self.assertLessEqual(self.browser.run("return document.getElementById('settings').offsetWidth"), width)
            self.picture("phone-settings")
            self.browser.press("escape")

    def test_the_keyboard_reaches_everything(self):
        self.ask("Q", "A\n\n```\ncode\n```")
        self.browser.run("document.body.focus(); document.activeElement.blur(); window.getSelection().removeAllRanges()")
        reached = set()
        for _ in range(40):
            self.browser.press("tab")
            reached.add(self.browser.run("""
                const e = document.activeElement;
                const s = getComputedStyle(e);
                const visible = s.outlineStyle !== 'none' || e.id === 'input' || e === document.body;
                return (e.id || e.getAttribute('aria-label') || e.className || e.tagName) + (visible ? '' : ' UNSEEN');"""))
        for name in ("new-chat", "name", "theme", "settings-open", "input", "Copy message", "Edit message", "Regenerate",
                     "Copy code", "Rename conversation", "Delete conversation"):
            self.assertIn(name, reached)
        self.assertEqual([name for name in reached if "UNSEEN" in name], [])

    def test_everything_has_a_name(self):
        self.ask("Q", "A\n\n- [ ] x\n\n```\ncode\n```")
        nameless = self.browser.run("""
            return [...document.querySelectorAll('button, input, textarea, select, dialog, nav, [role=log]')].filter((e) => {
              if (e.closest('.markdown') && e.type === 'checkbox') return false;
              const name = e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.innerText?.trim() ||
                e.textContent.trim() || [...(e.labels || [])].map((l) => l.innerText).join('').trim();
              return !name;
            }).map((e) => e.outerHTML);""")
        self.assertEqual(nameless, [])
        self.assertEqual(self.browser.text("#status"), "The answer is complete")


class Sources(unittest.TestCase):
    """What the policy would refuse, and ways for text to become markup, are not even in the files."""

    def test_no_way_for_markup(self):
        for path in glob.glob(os.path.join(WEB, "*")):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            found = re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function|"
                               r"createContextualFragment|srcdoc|\son\w+=|<style|style=|https?://(?!www\.w3\.org)[\w.]+", text)
            self.assertEqual(found, [], path)


def main():
    if find_programs() is None:
        print("chromium and chromium-driver are not installed")
        return 1 if os.environ.get("CI") else SKIPPED
    return 0 if unittest.main(exit=False, verbosity=2).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
