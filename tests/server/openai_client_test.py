#!/usr/bin/env python3
"""The official Python client, without special settings."""

import asyncio
import json
import math
import sys
import unittest

from python_packages import require

require("openai")

import openai  # noqa: E402

from server_case import ServerCase, main  # noqa: E402

HELLO = [{"role": "user", "content": "Hello there"}]


class OpenAi(ServerCase):
    OPTIONS = ["--api-key", "sk-test", "--no-access-log"]

    def client(self, **options):
        return openai.OpenAI(base_url=self.server.base + "/v1", api_key="sk-test", **options)

    def test_models(self):
        models = self.client().models.list().data
        self.assertEqual(len(models), 1)
        self.assertEqual(self.client().models.retrieve(models[0].id).id, models[0].id)
        with self.assertRaises(openai.NotFoundError):
            self.client().models.retrieve("gpt-nothing")

    def test_chat(self):
        answer = self.client().chat.completions.create(
            model="gpt-4o", messages=HELLO, max_tokens=12, temperature=0)
        self.assertEqual(answer.choices[0].finish_reason, "length")
        self.assertEqual(answer.usage.completion_tokens, 12)
        self.assertEqual(answer.choices[0].message.role, "assistant")
        self.assertIsInstance(answer.choices[0].message.content, str)
        self.assertIsNone(answer.choices[0].message.tool_calls)

    def test_stream_is_the_same(self):
        for options in ({}, {"n": 2, "seed": 5, "temperature": 1.2},
                        {"stop": ["e"]}, {"logprobs": True, "top_logprobs": 3}):
            settings = {"model": "m", "messages": HELLO, "max_tokens": 24, "temperature": 0}
            settings.update(options)
            whole = self.client().chat.completions.create(**settings)
            texts, reasons, logprobs, usage = {}, {}, {}, None
            stream = self.client().chat.completions.create(
                stream=True, stream_options={"include_usage": True}, **settings)
            for chunk in stream:
                if chunk.usage:
                    usage = chunk.usage
                    continue
                for choice in chunk.choices:
                    texts[choice.index] = (texts.get(choice.index, "") +
                                           (choice.delta.content or ""))
                    if choice.logprobs:
                        logprobs.setdefault(choice.index, []).extend(choice.logprobs.content)
                    if choice.finish_reason:
                        reasons[choice.index] = choice.finish_reason
            for choice in whole.choices:
                self.assertEqual(choice.message.content, texts[choice.index])
                self.assertEqual(choice.finish_reason, reasons[choice.index])
                if options.get("logprobs"):
                    self.assertEqual(choice.logprobs.content, logprobs[choice.index])
            self.assertEqual(usage.completion_tokens, whole.usage.completion_tokens)
            self.assertEqual(usage.prompt_tokens, whole.usage.prompt_tokens)

    def test_logprobs(self):
        answer = self.client().chat.completions.create(
            model="m", messages=HELLO, max_tokens=6, temperature=0, logprobs=True, top_logprobs=4)
        tokens = answer.choices[0].logprobs.content
        self.assertEqual(len(tokens), 6)
        for token in tokens:
            self.assertEqual(len(token.top_logprobs), 4)
            self.assertAlmostEqual(token.logprob, token.top_logprobs[0].logprob)
            values = [other.logprob for other in token.top_logprobs]
            self.assertEqual(values, sorted(values, reverse=True))
            self.assertLess(sum(math.exp(value) for value in values), 1.0001)
            self.assertIsInstance(token.bytes, list)

    def test_seed_and_bias(self):
        def text(**options):
            return self.client().chat.completions.create(
                model="m", messages=HELLO, max_tokens=16, temperature=1.5,
                **options).choices[0].message.content
        self.assertEqual(text(seed=3), text(seed=3))
        self.assertNotEqual(text(seed=3), text(seed=4))
        answer = self.client().chat.completions.create(
            model="m", messages=HELLO, max_tokens=4, temperature=0, logit_bias={"97": 100},
            logprobs=True)
        self.assertEqual(len({token.token for token in answer.choices[0].logprobs.content}), 1)

    def test_messages_of_all_kinds(self):
        self.client().chat.completions.create(
            model="m", max_completion_tokens=2, messages=[
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
                {"role": "assistant", "content": "Yes?"},
                {"role": "user", "content": "Go on", "name": "Ann"}])

    def test_with_raw_response(self):
        answer = self.client().chat.completions.with_raw_response.create(
            model="m", messages=HELLO, max_tokens=1)
        self.assertTrue(answer.headers["x-request-id"])

    def test_completions(self):
        client = self.client()
        whole = client.completions.create(model="m", prompt=["One", "Two"], max_tokens=8,
                                          temperature=0, echo=True, logprobs=2)
        self.assertEqual([choice.index for choice in whole.choices], [0, 1])
        self.assertTrue(whole.choices[1].text.startswith("Two"))
        logprobs = whole.choices[0].logprobs
        self.assertIsNone(logprobs.token_logprobs[0])
        self.assertEqual(len(logprobs.tokens), len(logprobs.text_offset))
        texts = {}
        for chunk in client.completions.create(model="m", prompt=["One", "Two"], max_tokens=8,
                                               temperature=0, echo=True, stream=True):
            for choice in chunk.choices:
                texts[choice.index] = texts.get(choice.index, "") + choice.text
        self.assertEqual(texts, {choice.index: choice.text for choice in whole.choices})

    def test_embeddings(self):
        client = self.client()
        answer = client.embeddings.create(model="m", input=["one", "two", "one"])
        vectors = [entry.embedding for entry in answer.data]
        self.assertEqual(vectors[0], vectors[2])
        self.assertNotEqual(vectors[0], vectors[1])
        plain = client.embeddings.create(model="m", input="one", encoding_format="float")
        for left, right in zip(plain.data[0].embedding, vectors[0]):
            self.assertAlmostEqual(left, right, places=6)
        self.assertAlmostEqual(sum(x * x for x in vectors[0]), 1, places=5)
        self.assertEqual(len(client.embeddings.create(model="m", input="one", dimensions=8)
                             .data[0].embedding), 8)

    def test_errors(self):
        client = self.client(max_retries=0)
        with self.assertRaises(openai.BadRequestError) as caught:
            client.chat.completions.create(model="m", messages=HELLO, temperature=-3)
        self.assertEqual(caught.exception.param, "temperature")
        with self.assertRaises(openai.BadRequestError) as caught:
            client.chat.completions.create(model="m", messages=[
                {"role": "user", "content": "word " * 1000}])
        self.assertEqual(caught.exception.code, "context_length_exceeded")
        with self.assertRaises(openai.BadRequestError) as caught:
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}])
        self.assertEqual(caught.exception.param, "messages[0].content[0].type")
        with self.assertRaises(openai.AuthenticationError):
            openai.OpenAI(base_url=self.server.base + "/v1", api_key="sk-wrong",
                          max_retries=0).models.list()

    def test_async(self):
        async def ask(client, i):
            stream = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": f"Number {i % 4}"}],
                max_tokens=10, temperature=0, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream
                            if chunk.choices])

        async def run():
            async with openai.AsyncOpenAI(base_url=self.server.base + "/v1",
                                          api_key="sk-test") as client:
                return await asyncio.gather(*(ask(client, i) for i in range(24)))

        texts = asyncio.run(run())
        self.assertEqual(texts[:4] * 6, texts)

    def test_leaving_a_stream(self):
        stream = self.client().chat.completions.create(
            model="m", messages=HELLO, max_tokens=200, stream=True)
        next(iter(stream))
        stream.close()
        self.client().chat.completions.create(model="m", messages=HELLO, max_tokens=1)


if __name__ == "__main__":
    main()
