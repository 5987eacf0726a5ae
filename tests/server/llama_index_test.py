#!/usr/bin/env python3
"""LlamaIndex's class for servers with OpenAI's API."""

import asyncio
import typing

from python_packages import require

require("llama_index")

from llama_index.core.llms import ChatMessage  # noqa: E402
from llama_index.core.tools import FunctionTool  # noqa: E402
from llama_index.llms.openai_like import OpenAILike  # noqa: E402

from server_case import ServerCase, main  # noqa: E402


def guess(number: typing.Literal[1, 2, 3], sure: bool) -> str:
    """Guesses a number."""
    return f"{number} {sure}"


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

    def test_async(self):
        async def run(model, messages):
            pieces = [piece async for piece in await model.astream_chat(messages)]
            return (await model.achat(messages)).message.content, pieces[-1].message.content

        whole, streamed = asyncio.run(run(self.model(is_chat_model=True), [
            ChatMessage(role="user", content="Hello")]))
        self.assertEqual(whole, streamed)

    def test_tools(self):
        model = OpenAILike(api_base=self.server.base + "/v1", api_key="any", model="m",
                           temperature=0, max_tokens=120, is_chat_model=True,
                           is_function_calling_model=True)
        tool = FunctionTool.from_defaults(guess)
        answer = model.chat_with_tools([tool], user_msg="Guess", tool_required=True,
                                       allow_parallel_tool_calls=False)
        calls = model.get_tool_calls_from_response(answer)
        self.assertEqual([call.tool_name for call in calls], ["guess"])
        self.assertIn(calls[0].tool_kwargs["number"], (1, 2, 3))
        self.assertIsInstance(calls[0].tool_kwargs["sure"], bool)
        last = None
        for last in model.stream_chat_with_tools([tool], user_msg="Guess", tool_required=True,
                                                 allow_parallel_tool_calls=False):
            pass
        self.assertEqual(model.get_tool_calls_from_response(last)[0].tool_kwargs,
                         calls[0].tool_kwargs)

    def test_completion(self):
        model = self.model(is_chat_model=False)
        whole = model.complete("Once upon").text
        self.assertEqual(list(model.stream_complete("Once upon"))[-1].text, whole)


if __name__ == "__main__":
    main()
