#!/usr/bin/env python3
"""Frameworks that talk to OpenAI's API, with no more than an address and a key."""

import asyncio

from python_packages import require

require("frameworks")

from langchain_core.messages import HumanMessage, SystemMessage  # noqa: E402
from langchain_openai import ChatOpenAI, OpenAI  # noqa: E402

from server_case import ServerCase, main  # noqa: E402


class LangChain(ServerCase):
    OPTIONS = ["--no-access-log"]

    def options(self, **more):
        return {"base_url": self.server.base + "/v1", "api_key": "any", "model": "m",
                "temperature": 0, "max_tokens": 12, **more}

    def test_chat(self):
        chat = ChatOpenAI(**self.options())
        messages = [SystemMessage("Be brief."), HumanMessage("Hello")]
        whole = chat.invoke(messages)
        self.assertIn(whole.usage_metadata["output_tokens"], range(1, 13))
        pieces = list(chat.stream(messages))
        self.assertEqual("".join(piece.content for piece in pieces), whole.content)
        self.assertEqual([answer.content for answer in chat.batch([messages, messages])],
                         [whole.content] * 2)
        self.assertEqual(asyncio.run(chat.ainvoke(messages)).content, whole.content)

    def test_logprobs(self):
        answer = ChatOpenAI(**self.options()).bind(logprobs=True, top_logprobs=2).invoke("Hello")
        logprobs = answer.response_metadata["logprobs"]["content"]
        self.assertIn(len(logprobs), range(1, 13))
        self.assertTrue(all(len(token["top_logprobs"]) == 2 for token in logprobs))

    def test_completion(self):
        model = OpenAI(**self.options())
        whole = model.invoke("Once upon")
        self.assertEqual("".join(model.stream("Once upon")), whole)


if __name__ == "__main__":
    main()
