//! Chat templates that do not compile, do not end, or do not show what was said.

use super::case::{Base::Whole, Case, Target};

const TEMPLATE: &str = "model/chat_template.jinja";

fn broken(name: &'static str, says: &'static str, spoil: fn(&Target)) -> Case {
    Case::new(Whole, TEMPLATE, name, says, spoil)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        broken("missing", "no chat template", |file| file.remove()).naming("model"),
        broken("not text", "not UTF-8", |file| file.put(b"{{ '\xff' }}")),
        broken("a folder", "it is a folder", |file| file.make_folder()),
        broken("an expression that is not closed", "unexpected end", |file| file.put("{{ messages")),
        broken("a loop that is not closed", "unexpected end", |file| {
            file.put("{% for m in messages %}{{ m }}")
        }),
        broken("an unknown tag", "unknown statement", |file| file.put("{% sing %}")),
        broken("cut in half", "(line", |file| file.halve()),
        broken("an unknown filter", "shout", |file| file.put("{{ messages | shout }}")),
        broken("an unknown function", "sing", |file| file.put("{{ sing(messages) }}")),
        broken("an unknown test", "musical", |file| file.put("{{ messages is musical }}")),
        broken("an exception of its own", "only in verse", |file| {
            file.put("{{ raise_exception('only in verse') }}");
        }),
        broken("an attribute of nothing", "undefined", |file| file.put("{{ messages[99].content.deeper }}")),
        broken("a sum of text and number", "unsupported", |file| file.put("{{ messages[0].role + 1 }}")),
        broken("another template included", "other", |file| file.put("{% include 'other.jinja' %}")),
        broken("a macro that calls itself", "recursion", |file| {
            file.put("{% macro again(n) %}{{ again(n + 1) }}{% endmacro %}{{ again(0) }}");
        }),
        broken("loops without end", "steps", |file| {
            file.put("{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}");
        }),
        broken("a range beyond counting", "range", |file| {
            file.put("{% for a in range(10 ** 12) %}x{% endfor %}")
        }),
        broken("a date in an unknown form", "%Q", |file| file.put("{{ strftime_now('%Q') }}")),
        broken("empty", "answer", |file| file.put("")).naming("train.json"),
        broken("no images", "<image>", |file| file.swap("{{- '<image>' -}}", "")).naming("train.json"),
        broken("images twice", "<image>", |file| file.swap("'<image>'", "'<image><image>'"))
            .naming("train.json"),
        broken("no texts", "answer", |file| {
            file.swap("+ part['text']", "");
            file.swap("{{- ' ' + message['content'] -}}", "");
        })
        .naming("train.json"),
        broken("history in another form than the prompt", "generation prompt", |file| {
            file.swap("{{- 'Assistant:' -}}", "{{- 'Model:' -}}");
        })
        .naming("train.json"),
        Case::new(Whole, TEMPLATE, "in JSON, cut in half", "EOF", |file| {
            file.remove();
            file.beside("chat_template.json").put("{\"chat_template\": \"{{ mess");
        })
        .naming("chat_template.json"),
        Case::new(Whole, TEMPLATE, "in JSON, a number", "no chat template", |file| {
            file.remove();
            file.beside("chat_template.json").put("{\"chat_template\": 7}");
        })
        .naming("chat_template.json"),
        Case::new(Whole, TEMPLATE, "in JSON, several without a usual one", "no chat template", |file| {
            file.remove();
            file.beside("chat_template.json")
                .put("{\"chat_template\": [{\"name\": \"tools\", \"template\": \"{{ messages }}\"}]}");
        })
        .naming("chat_template.json"),
    ]
}
