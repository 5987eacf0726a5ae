#!/usr/bin/env python3
"""LlamaIndex's class for servers with OpenAI's API."""

from python_packages import require

require("llama_index")

from llama_index.core.llms import ChatMessage  # noqa: E402
from llama_index.llms.openai_like import OpenAILike  # noqa: E402

from server_case import ServerCase, main  # noqa: E402


class LlamaIndex(ServerCase):
    OPTIONS = ["--no-access-log"]

    def model(self, **options):
        return OpenAILike(api_base=self.server.base + "/v1", api_key="any", model="m",
                          temperature=0, max_tokens=12, **options)

    def test_chat(self):
        model = self.model(is_chat_model=True)
        messages = [ChatMessage(role="user", content="Hello")]
        whole = model.chat(messages).message.content
        self.assertTrue(whole)
        pieces = list(model.stream_chat(messages))
        self.assertEqual(pieces[-1].message.content, whole)

    def test_completion(self):
        model = self.model(is_chat_model=False)
        whole = model.complete("Once upon").text
        self.assertEqual(list(model.stream_complete("Once upon"))[-1].text, whole)


if __name__ == "__main__":
    main()
