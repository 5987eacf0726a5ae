// Hostile templates: each must end in an error, or in a harmless answer, within the limits.
#include <string>

#include <gtest/gtest.h>

#include "text/chat_template/chat_template.h"

namespace mistral::text {
namespace {

std::string repeat(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

// The name of the error's kind, or the output.
std::string outcome(const std::string& source, TemplateLimits limits = {},
                    const Json& context = Json::object()) {
  try {
    return ChatTemplate::compile(source, limits).render(context);
  } catch (const TemplateError& error) {
    switch (error.template_kind()) {
      case TemplateErrorKind::kLimit:
        return "LIMIT";
      case TemplateErrorKind::kSyntax:
        return "SYNTAX";
      case TemplateErrorKind::kRuntime:
        return "RUNTIME";
      default:
        return "OTHER";
    }
  }
}

constexpr TemplateLimits kSmall{.output_bytes = 1U << 20U, .steps = 300'000, .recursion = 50};

TEST(ChatTemplateLimits, ThingsThatAreTooLarge) {
  for (const char* source : {
           "{{ 'a' * 10**9 }}",
           "{{ 'ab' * 9223372036854775807 }}",
           "{{ [0] * 10**8 }}",
           "{{ 'x'.center(10**9) }}",
           "{{ 'x'.ljust(10**18) }}",
           "{{ '1'.zfill(10**10) }}",
           "{{ '%1000000000d' % 1 }}",
           "{{ '%.1000000000f' % 1.5 }}",
           "{{ '%*d' % (10**9, 1) }}",
           "{{ '{:1000000000}'.format(1) }}",
           "{{ '\t'.expandtabs(10**9) }}",
           "{{ [1]|tojson(indent=10**9) }}",
           "{{ 'a\nb'|indent(10**9) }}",
           "{{ [1]|batch(10**9, 0)|list }}",
           "{{ [1]|slice(10**9)|list }}",
           "{{ range(100000)|join('x' * 100000) }}",
           "{{ ('a' * 1000000).replace('', 'b' * 1000) }}",
           "{{ 10 ** (10 ** 10) }}",
           "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}"
           "{% endfor %}",
           "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}"
           "{% endfor %}",
           "{% for i in range(100000) %}{{ 'x' * 100000 }}{% endfor %}",
           "{% set x %}{% for i in range(100000) %}{{ 'x' * 100000 }}{% endfor %}{% endset %}",
       }) {
    EXPECT_EQ(outcome(source), "LIMIT") << source;
  }
  EXPECT_EQ(outcome("{% for i in range(10**9) %}{% endfor %}"), "RUNTIME");
  EXPECT_EQ(outcome("{{ range(-9223372036854775807, 9223372036854775807) }}"), "RUNTIME");
  EXPECT_EQ(outcome("{{ range(10**30) }}"), "RUNTIME");
}

TEST(ChatTemplateLimits, LoopsWithoutEnd) {
  for (const char* source : {
           "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
           "{% for i in range(100000) if range(100000)|sum < 0 %}{% endfor %}",
           "{{ range(100000)|map('string')|map('upper')|unique|list|sort }}",
           "{% set b = 10 ** 4000 %}{% for i in range(100000) %}{% set c = b|string %}{% endfor %}",
       }) {
    EXPECT_EQ(outcome(source, kSmall), "LIMIT") << source;
  }
}

// What looks like one step, but reads or writes much: long keys, dates, escapes, links.
TEST(ChatTemplateLimits, LongTextsInShortSteps) {
  for (const char* source : {
           "{% set a = 'x' * 1000000 %}{% for i in range(1000) %}{% set d = {a: 1} %}{% endfor %}",
           "{% set a = 'x' * 1000000 %}{% set d = {a: 1} %}{% for i in range(1000) %}"
           "{% set x = d[a] %}{% endfor %}",
           "{% set a = 'x' * 1000000 %}{% set d = dict(range(80)|batch(2)) %}"
           "{% for i in range(1000) %}{% set x = a in d %}{% endfor %}",
           "{{ strftime_now('%d' * 100000) }}",
           "{{ ['\\x00' * 100000] }}",
           "{{ ('a.com ' * 100000)|urlize }}",
       }) {
    EXPECT_EQ(outcome(source, kSmall), "LIMIT") << source;
  }
  // Brackets that belong to a link are looked for once, not once for each.
  EXPECT_EQ(outcome("{{ ('x' ~ '(' * 1000000 ~ 'y' ~ ')' * 2000000)|urlize|length }}"), "3000002");
}

TEST(ChatTemplateLimits, RecursionWithoutEnd) {
  for (const char* source : {
           "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
           "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
           "{% block a %}{{ self.a() }}{% endblock %}",
           "{% macro f() %}{% set x %}{{ f() }}{% endset %}{% endmacro %}{{ f() }}",
       }) {
    EXPECT_EQ(outcome(source), "LIMIT") << source;
  }
}

TEST(ChatTemplateLimits, SourcesNestedTooDeep) {
  constexpr int kMany = 100'000;
  for (const char* open : {"(", "[", "{1:", "not ", "-", "a[", "a(", "1 if 0 else ", "a|f("}) {
    EXPECT_EQ(outcome("{{ " + repeat(open, kMany) + " }}"), "LIMIT") << open;
  }
  for (const char* chain : {".b", "|upper", "+1", " and 1", " if 0", "()", "[0]"}) {
    EXPECT_EQ(outcome("{{ a" + repeat(chain, kMany) + " }}"), "LIMIT") << chain;
  }
  for (const char* block : {"{% if 1 %}", "{% for i in [1] %}", "{% set x %}", "{% filter e %}"}) {
    EXPECT_EQ(outcome(repeat(block, kMany)), "LIMIT") << block;
  }
  // Long, but not deep.
  EXPECT_EQ(outcome("{% if 0 %}" + repeat("{% elif 0 %}", kMany) + "{% endif %}x"), "x");
  EXPECT_EQ(outcome("{{ (''" + repeat("~''", kMany) + ")|length }}"), "0");
  EXPECT_EQ(outcome(std::string(8U << 20U, 'x')), "LIMIT");
}

TEST(ChatTemplateLimits, NestingThatIsAllowed) {
  EXPECT_EQ(outcome("{{ " + repeat("(", 90) + "1" + repeat(")", 90) + " }}"), "1");
  EXPECT_EQ(outcome(repeat("{% if 1 %}", 90) + "x" + repeat("{% endif %}", 90)), "x");
  EXPECT_EQ(outcome("{{ 0" + repeat("+1", 400) + " }}"), "400");
  EXPECT_EQ(outcome("{% macro f(n) %}{% if n %}{{ f(n - 1) }}{% else %}end{% endif %}{% endmacro %}"
                    "{{ f(90) }}"),
            "end");
}

TEST(ChatTemplateLimits, ScannersStayLinear) {
  EXPECT_EQ(outcome(repeat("{#", 300'000)), "SYNTAX");
  EXPECT_EQ(outcome(repeat("{% raw %}", 100'000)), "SYNTAX");
  EXPECT_EQ(outcome("{{ \"" + std::string(1'000'000, 'a')), "SYNTAX");
  EXPECT_EQ(outcome("{%" + std::string(1'000'000, ' ') + "%}"), "SYNTAX");
  EXPECT_EQ(outcome("{{ ('a' * 1000000).rfind('b' ~ 'a' * 500000) }}"), "-1");
  EXPECT_EQ(outcome("{{ ('<!--' * 100000)|striptags|length }}"), "400000");
}

TEST(ChatTemplateLimits, DataNestedDeepByTheTemplate) {
  const std::string build =
      "{% set ns = namespace(x=[], y=[], t=(), g=[1], v={}) %}{% for i in range(20000) %}"
      "{% set ns.x = [ns.x] %}{% set ns.y = [ns.y] %}{% set ns.t = (ns.t,) %}"
      "{% set ns.g = ns.g|select %}{% set ns.v = {1: ns.v.items()} %}{% endfor %}";
  EXPECT_EQ(outcome(build + "ok"), "ok");
  for (const char* use :
       {"{{ ns.x }}", "{{ ns.x|tojson }}", "{{ ns.x == ns.y }}", "{{ ns.x < ns.y }}",
        "{{ {ns.t: 1} }}", "{{ ns.g|list }}", "{{ ns.v }}", "{{ ns.x|pprint }}"}) {
    EXPECT_EQ(outcome(build + use), "LIMIT") << use;
  }
  const std::string doubled =
      "{% set ns = namespace(x=(1,), y=(1,)) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) "
      "%}{% set ns.y = (ns.y, ns.y) %}{% endfor %}";
  for (const char* use : {"{{ ns.x }}", "{{ ns.x|tojson }}", "{{ ns.x == ns.y }}",
                          "{{ ns.x < ns.y }}", "{{ {ns.x: 1}|length }}", "{{ ns.x|pprint }}"}) {
    EXPECT_EQ(outcome(doubled + use, kSmall), "LIMIT") << use;
  }
}

TEST(ChatTemplateLimits, ObjectsThatHoldThemselves) {
  EXPECT_EQ(outcome("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}"), "LIMIT");
  // The sanitizers tell whether these are freed.
  EXPECT_EQ(outcome("{% set ns = namespace() %}{% set ns.x = [ns, {1: ns}] %}ok"), "ok");
  EXPECT_EQ(outcome("{% for i in range(100) %}{% set a = namespace() %}{% set a.a = a %}"
                    "{{ loop.changed(loop) }}{% set a.l = loop %}{% endfor %}")
                .size(),
            499U);
  EXPECT_EQ(outcome("{% macro f() %}{% macro g() %}{{ g }}{% endmacro %}{% endmacro %}{{ f() }}ok"),
            "ok");
}

TEST(ChatTemplateLimits, AConditionThatReachesItsOwnLoop) {
  EXPECT_EQ(outcome("{% set ns = namespace() %}{% for x in 'abc' if ns.l is undefined or "
                    "ns.l.nextitem %}{% set ns.l = loop %}{% endfor %}"),
            "RUNTIME");
}

TEST(ChatTemplateLimits, DataNestedDeepFromOutside) {
  Json deep = 1;
  for (int i = 0; i < 1000; ++i) deep = Json::array({std::move(deep)});
  EXPECT_EQ(outcome("{{ x }}", {}, {{"x", deep}}), "LIMIT");
  // What the template does not use is not looked at.
  EXPECT_EQ(outcome("ok", {}, {{"x", deep}}), "ok");
}

TEST(ChatTemplateLimits, AreTheCallersChoice) {
  EXPECT_EQ(outcome("{{ 'a' * 11 }}", {.output_bytes = 10}), "LIMIT");
  EXPECT_EQ(outcome("{{ 'a' * 10 }}", {.output_bytes = 10}), "aaaaaaaaaa");
  EXPECT_EQ(outcome("{% for i in range(50) %}{% endfor %}", {.steps = 40}), "LIMIT");
  EXPECT_EQ(outcome("{% for i in range(50) %}{% endfor %}", {.steps = 400}), "");
  EXPECT_EQ(outcome("{{ ((((1)))) }}", {.recursion = 4}), "LIMIT");
  EXPECT_EQ(outcome("{{ ((((1)))) }}", {.recursion = 5}), "1");
}

}  // namespace
}  // namespace mistral::text
