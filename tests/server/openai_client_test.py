#!/usr/bin/env python3
"""The official Python client, without special settings."""

import asyncio
import json
import math
import typing

from python_packages import require

require("openai")

import openai  # noqa: E402
import pydantic  # noqa: E402

from server_case import ServerCase, main  # noqa: E402

HELLO = [{"role": "user", "content": "Hello there"}]
ARGUMENTS = {"type": "object",
             "properties": {"number": {"enum": [1, 2, 3]}, "sure": {"type": "boolean"}},
             "required": ["number", "sure"], "additionalProperties": False}
TOOLS = [{"type": "function", "function": {
    "name": name, "description": "Does it.", "strict": True, "parameters": ARGUMENTS}}
    for name in ("guess", "check")]


class Guess(pydantic.BaseModel):
    """What an answer or the arguments of a call are parsed to."""

    number: typing.Literal[1, 2, 3]
    sure: bool


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

    def check_arguments(self, text):
        arguments = json.loads(text)
        self.assertEqual(sorted(arguments), ["number", "sure"])
        self.assertIn(arguments["number"], (1, 2, 3))
        self.assertIsInstance(arguments["sure"], bool)

    def test_tools(self):
        for choice in ("required", {"type": "function", "function": {"name": "check"}}):
            settings = {"model": "m", "messages": HELLO, "tools": TOOLS, "tool_choice": choice,
                        "parallel_tool_calls": False, "temperature": 0, "max_tokens": 120}
            whole = self.client().chat.completions.create(**settings).choices[0]
            self.assertEqual(whole.finish_reason, "tool_calls")
            self.assertIsNone(whole.message.content)
            self.assertEqual(len(whole.message.tool_calls), 1)
            call = whole.message.tool_calls[0]
            self.assertIn(call.function.name, ("guess", "check") if choice == "required"
                          else ("check",))
            self.check_arguments(call.function.arguments)
            names, arguments, reasons, ids = "", "", [], set()
            for chunk in self.client().chat.completions.create(stream=True, **settings):
                delta = chunk.choices[0].delta
                self.assertFalse(delta.content)
                for piece in delta.tool_calls or []:
                    self.assertEqual(piece.index, 0)
                    ids.add(piece.id)
                    names += piece.function.name or ""
                    arguments += piece.function.arguments or ""
                reasons.append(chunk.choices[0].finish_reason)
            self.assertEqual((names, arguments, reasons[-1]),
                             (call.function.name, call.function.arguments, "tool_calls"))
            self.assertEqual(len(ids - {None}), 1)
            # The conversation goes on with what the tool found.
            self.client().chat.completions.create(
                model="m", tools=TOOLS, tool_choice="none", max_tokens=4, messages=[
                    *HELLO, whole.message,
                    {"role": "tool", "tool_call_id": call.id, "content": "done"}])

    def test_tools_may_be_left_alone(self):
        for choice in ("none", "auto", openai.NOT_GIVEN):
            answer = self.client().chat.completions.create(
                model="m", messages=HELLO, tools=TOOLS, tool_choice=choice, max_tokens=6,
                temperature=0).choices[0]
            self.assertIsNone(answer.message.tool_calls)
            self.assertIsInstance(answer.message.content, str)

    def test_json_schema(self):
        settings = {"model": "m", "messages": HELLO, "temperature": 0, "max_tokens": 120}
        form = {"type": "json_schema",
                "json_schema": {"name": "guess", "strict": True, "schema": ARGUMENTS}}
        whole = self.client().chat.completions.create(response_format=form, **settings)
        self.assertEqual(whole.choices[0].finish_reason, "stop")
        self.check_arguments(whole.choices[0].message.content)
        streamed = "".join(
            chunk.choices[0].delta.content or "" for chunk in self.client().chat.completions.create(
                response_format=form, stream=True, **settings))
        self.assertEqual(streamed, whole.choices[0].message.content)

    def test_answers_parsed_by_the_client(self):
        settings = {"model": "m", "messages": HELLO, "temperature": 0, "max_tokens": 120}
        client = self.client()
        parsed = client.chat.completions.parse(response_format=Guess, **settings)
        self.assertIsInstance(parsed.choices[0].message.parsed, Guess)
        with client.chat.completions.stream(response_format=Guess, **settings) as stream:
            for _ in stream:
                pass
            self.assertEqual(stream.get_final_completion().choices[0].message.parsed,
                             parsed.choices[0].message.parsed)
        tools = [openai.pydantic_function_tool(Guess)]
        parsed = client.chat.completions.parse(
            tools=tools, tool_choice="required", parallel_tool_calls=False, **settings)
        called = parsed.choices[0].message.tool_calls[0].function
        self.assertIsInstance(called.parsed_arguments, Guess)
        with client.chat.completions.stream(
                tools=tools, tool_choice="required", parallel_tool_calls=False,
                **settings) as stream:
            for _ in stream:
                pass
            self.assertEqual(
                stream.get_final_completion().choices[0].message.tool_calls[0].function.arguments,
                called.arguments)

    def test_async_tools_schema_and_embeddings(self):
        async def run():
            async with openai.AsyncOpenAI(base_url=self.server.base + "/v1",
                                          api_key="sk-test") as client:
                return await asyncio.gather(
                    client.chat.completions.create(
                        model="m", messages=HELLO, tools=TOOLS, tool_choice="required",
                        temperature=0, max_tokens=120, parallel_tool_calls=False),
                    client.chat.completions.parse(
                        model="m", messages=HELLO, response_format=Guess, temperature=0,
                        max_tokens=120),
                    client.embeddings.create(model="m", input="one"),
                    client.models.list())

        called, parsed, embedded, models = asyncio.run(run())
        self.check_arguments(called.choices[0].message.tool_calls[0].function.arguments)
        self.assertIsInstance(parsed.choices[0].message.parsed, Guess)
        self.assertEqual(
            embedded.data[0].embedding,
            self.client().embeddings.create(model="m", input="one").data[0].embedding)
        self.assertEqual(len(models.data), 1)

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
