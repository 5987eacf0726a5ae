#!/usr/bin/env python3
"""Frameworks that talk to OpenAI's API, with no more than an address and a key."""

import asyncio
import typing

from python_packages import require

require("frameworks")

from langchain_core.messages import HumanMessage, SystemMessage  # noqa: E402
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings  # noqa: E402
import pydantic  # noqa: E402

from server_case import ServerCase, main  # noqa: E402


class Guess(pydantic.BaseModel):
    """What an answer or the arguments of a call are parsed to."""

    number: typing.Literal[1, 2, 3]
    sure: bool


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

    def test_tools(self):
        chat = ChatOpenAI(**self.options(max_tokens=120)).bind_tools(
            [Guess], tool_choice="Guess", parallel_tool_calls=False)
        whole = chat.invoke("Guess")
        self.assertEqual([call["name"] for call in whole.tool_calls], ["Guess"])
        Guess(**whole.tool_calls[0]["args"])
        streamed = None
        for piece in chat.stream("Guess"):
            streamed = piece if streamed is None else streamed + piece
        self.assertEqual(streamed.tool_calls[0]["args"], whole.tool_calls[0]["args"])

    def test_structured_output(self):
        for method in ("json_schema", "function_calling"):
            chat = ChatOpenAI(**self.options(max_tokens=120))
            answer = chat.with_structured_output(Guess, method=method).invoke("Guess")
            self.assertIsInstance(answer, Guess)

    def test_embeddings(self):
        # The one setting that its pages ask for with servers other than OpenAI's: texts are sent,
        # not the token ids of OpenAI's models.
        model = OpenAIEmbeddings(base_url=self.server.base + "/v1", api_key="any", model="m",
                                 check_embedding_ctx_length=False)
        vectors = model.embed_documents(["one", "two", "one"])
        self.assertEqual(vectors[0], vectors[2])
        self.assertNotEqual(vectors[0], vectors[1])
        self.assertEqual(len(model.embed_query("one")), len(vectors[0]))

    def test_completion(self):
        model = OpenAI(**self.options())
        whole = model.invoke("Once upon")
        self.assertEqual("".join(model.stream("Once upon")), whole)


if __name__ == "__main__":
    main()
