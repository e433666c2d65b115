//! Chat templates: what is rendered, and where the answers are.

use mars_vlm::{
    Error,
    chat::{ChatTemplate, Date, SpecialTokens},
    data::{Part, Role, Turn},
};
use std::{fs, path::Path};

fn special() -> SpecialTokens {
    SpecialTokens::default()
        .with_added(["<end>", "<|im_start|>", "<|im_end|>", "</s>", "<image>"].map(String::from))
}

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::new(source, Path::new("chat_template.jinja"), special()).unwrap()
}

fn chat(turns: &[(Role, &str)]) -> Vec<Turn> {
    turns.iter().map(|(role, text)| Turn::text(*role, *text)).collect()
}

fn two_rounds() -> Vec<Turn> {
    let (user, assistant) = (Role::User, Role::Assistant);
    chat(&[
        (Role::System, "Be brief."),
        (user, "a?"),
        (assistant, "a"),
        (user, "End?"),
        (assistant, "end <b>"),
    ])
}

fn answers(source: &str, turns: &[Turn]) -> Vec<String> {
    let rendered = template(source).render_answers(turns).unwrap();
    rendered.answers.iter().map(|range| rendered.text[range.clone()].to_string()).collect()
}

const PREFIX: &str = "{% for m in messages %}{{ m.role | capitalize }}: \
    {%- for part in m.content %}{% if part.type == 'text' %} {{ part.text }}{% else %}<image>{% endif %}{% endfor %}\
    <end>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}";

#[test]
fn an_answer_runs_from_the_generation_prompt_through_the_end_token() {
    assert_eq!(answers(PREFIX, &two_rounds()), [" a<end>", " end <b><end>"]);
}

#[test]
fn the_text_after_the_last_answer_is_the_generation_prompt_of_the_next_turn() {
    let template = template(PREFIX);
    let turns = two_rounds();
    let rendered = template.render_answers(&turns).unwrap();
    assert_eq!(rendered.text, template.render(&turns, false).unwrap());
    for (nth, k) in [2, 4].into_iter().enumerate() {
        let prompt = template.render(&turns[..k], true).unwrap();
        assert_eq!(&rendered.text[..rendered.answers[nth].start], prompt);
    }
}

/// History with a blank that the generation prompt lacks, as published for LLaVA-OneVision.
const TAGGED: &str = "{% for m in messages %}{{ '<|im_start|>' + m.role + ' ' }}\
    {% for part in m.content | selectattr('type', 'equalto', 'image') %}<image>{% endfor %}\
    {% for part in m.content | selectattr('type', 'equalto', 'text') %}\
    {% if m.role == 'assistant' %}{% generation %}{{ '\n' + part.text }}{% endgeneration %}\
    {% else %}{{ '\n' + part.text }}{% endif %}{% endfor %}<|im_end|>{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

#[test]
fn generation_tags_help_where_prompt_and_history_differ() {
    let turns = two_rounds();
    assert_eq!(answers(TAGGED, &turns), ["\na<|im_end|>", "\nend <b><|im_end|>"]);
    let text = template(TAGGED).render(&turns, false).unwrap();
    assert!(text.ends_with("<|im_start|>assistant \nend <b><|im_end|>"), "{text:?}");
    assert!(text.is_ascii(), "marks are left in {text:?}");
}

#[test]
fn tags_do_not_change_the_text() {
    let tagged = "{% for m in messages %}\n  {{ m.role }}: \n  {%- generation -%}\n  {{ m.content[0].text }}\n  \
        {% endgeneration %}\n<end>\n{% endfor %}";
    // What a renderer that knows the tags gives: they are blocks that print their content.
    let plain = tagged.replace("generation", "if").replace("{%- if -%}", "{%- if true -%}");
    let turns = two_rounds();
    assert_eq!(
        template(tagged).render(&turns, false).unwrap(),
        template(&plain).render(&turns, false).unwrap()
    );
}

#[test]
fn without_tags_an_inconsistent_template_is_an_error() {
    let plain = TAGGED.replace("{% generation %}", "").replace("{% endgeneration %}", "");
    let error = template(&plain).render_answers(&two_rounds()).unwrap_err();
    assert!(matches!(error, Error::Template { .. }));
    assert!(
        error.to_string().contains("before turn 2") && error.to_string().contains("generation tags"),
        "{error}"
    );
}

#[test]
fn an_end_token_after_the_last_turn_only_is_part_of_that_answer() {
    let source = "{% for m in messages %}{{ m.role | upper }}: {{ m.content[0].text }}\
        {% if loop.last and m.role == 'assistant' %}</s>{% else %}\n{% endif %}{% endfor %}\
        {% if add_generation_prompt %}ASSISTANT:{% endif %}";
    assert_eq!(answers(source, &two_rounds()), [" a", " end <b></s>"]);
}

#[test]
fn a_template_that_shows_earlier_answers_differently_loses_none() {
    let source = "{% for m in messages %}<|im_start|>{{ m.role }}\n\
        {% if m.role == 'assistant' and loop.last %}<think></think>{% endif %}\
        {{ m.content[0].text }}<|im_end|>\n{% endfor %}\
        {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    assert_eq!(answers(source, &two_rounds()), ["a<|im_end|>", "<think></think>end <b><|im_end|>"]);
    let dropped = source.replace(
        "{{ m.content[0].text }}",
        "{% if loop.last or m.role == 'user' %}{{ m.content[0].text }}{% endif %}",
    );
    let turns =
        chat(&[(Role::User, "1"), (Role::Assistant, "lost"), (Role::User, "2"), (Role::Assistant, "3")]);
    let error = template(&dropped).render_answers(&turns).unwrap_err().to_string();
    assert!(error.contains("turn 1"), "{error}");
}

#[test]
fn an_answer_that_quotes_the_end_token_is_not_cut() {
    let turns = chat(&[(Role::User, "How does it end?"), (Role::Assistant, "With <end> it ends.")]);
    assert_eq!(answers(PREFIX, &turns), [" With <end> it ends.<end>"]);
}

#[test]
fn letters_of_special_tokens_are_not_an_answer() {
    let source = |thought: &str| {
        let shown = "{% for m in messages %}<|im_start|>{{ m.role }}\n\
            {% if m.role == 'assistant' %}<think>THOUGHT</think>{{ '\n\n' }}{% endif %}\
            {{ m.content[0].text }}<|im_end|>\n{% endfor %}\
            {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
        shown.replace("THOUGHT", thought)
    };
    // The second shows more of the last turn, so that turns before it begin alike and go on differently.
    for (thought, first, last) in
        [("{{ '\n\n' }}", "\n\n", "\n\n"), ("{% if loop.last %}so{% endif %}", "", "so")]
    {
        let thinks = special().with_added(["<think>", "</think>"].map(String::from));
        let template = ChatTemplate::new(&source(thought), Path::new("chat_template.jinja"), thinks).unwrap();
        for answer in ["in", "hi", "ink", "t", ">", "no", "think", "It is in <think> what it thinks."] {
            let (user, assistant) = (Role::User, Role::Assistant);
            let turns = chat(&[(user, "Where?"), (assistant, answer), (user, "Sure?"), (assistant, answer)]);
            let rendered = template.render_answers(&turns).unwrap();
            let found = rendered.answers.iter().map(|range| &rendered.text[range.clone()]);
            let shown =
                [first, last].map(|thought| format!("<think>{thought}</think>\n\n{answer}<|im_end|>"));
            assert_eq!(found.collect::<Vec<_>>(), shown, "{answer}");
        }
    }
}

#[test]
fn templates_for_plain_text_get_plain_text() {
    let source = "{% for m in messages %}{{ m['role'] + ': ' + m['content'].strip() + '<end>' }}{% endfor %}\
        {% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}";
    let turns = [
        Turn::new(Role::User, vec![Part::Image, Part::Text("What?".into())]),
        Turn::text(Role::Assistant, "cat"),
    ];
    let rendered = template(source).render_answers(&turns).unwrap();
    assert_eq!(rendered.text, "user: <image>\nWhat?<end>assistant: cat<end>");
    assert_eq!(&rendered.text[rendered.answers[0].clone()], " cat<end>");
}

#[test]
fn a_template_that_raises_says_why() {
    let source =
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system turn, please') }}{% endif %}";
    let error = template(source).render(&two_rounds(), false).unwrap_err().to_string();
    assert!(error.contains("no system turn, please") && error.contains("chat_template.jinja"), "{error}");
}

#[test]
fn a_template_that_does_not_compile_names_file_and_line() {
    let error = ChatTemplate::new("{{ 1 }}\n{% for %}", Path::new("dir/chat_template.jinja"), special());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("dir/chat_template.jinja") && error.contains("line 2"), "{error}");
}

#[test]
fn filters_and_functions_of_hugging_face_templates() {
    let turns = two_rounds();
    let rendered = |source: &str| template(source).render(&turns, false).unwrap();
    let json = r#"{{ {"a": [1, "<é>"], "b": none} | tojson }}"#;
    assert_eq!(rendered(json), r#"{"a": [1, "<é>"], "b": null}"#);
    assert_eq!(rendered("{{ [1] | tojson(indent=2) }}"), "[\n  1\n]");
    assert_eq!(rendered("{{ strftime_now('%d %b %Y') }}"), "26 Jul 2024");
    let day = Date { year: 2026, month: 1, day: 2 };
    let dated = template("{{ strftime_now('%d %b %Y') }}").with_date(day);
    assert_eq!(dated.render(&turns, false).unwrap(), "02 Jan 2026");
    assert_eq!(
        rendered(
            "{% for m in messages %}{% if loop.index0 == 1 %}{% break %}{% endif %}{{ m.role }}{% endfor %}"
        ),
        "system"
    );
}

#[test]
fn sources_are_taken_in_order_and_special_tokens_reach_the_template() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    let rendered = || {
        let special = SpecialTokens::from_dir(dir.path()).unwrap();
        ChatTemplate::from_dir(dir.path(), special).map(|t| t.render(&two_rounds(), false).unwrap())
    };
    let missing = rendered().unwrap_err().to_string();
    assert!(missing.contains("no chat template") && missing.contains("chat_template.jinja"), "{missing}");
    write(
        "tokenizer_config.json",
        r#"{"bos_token": {"content": "<s>"}, "eos_token": "</s>", "chat_template":
            [{"name": "tools", "template": "no"}, {"name": "default", "template": "{{ bos_token }}5{{ eos_token }}"}]}"#,
    );
    assert_eq!(rendered().unwrap(), "<s>5</s>");
    write("processor_config.json", r#"{"chat_template": {"rag": "no", "default": "4{{ unk_token }}"}}"#);
    assert_eq!(rendered().unwrap(), "4");
    fs::create_dir(dir.path().join("additional_chat_templates")).unwrap();
    write("additional_chat_templates/default.jinja", "3");
    assert_eq!(rendered().unwrap(), "3");
    write("chat_template.jinja", "2");
    assert_eq!(rendered().unwrap(), "2");
    write("chat_template.json", r#"{"chat_template": "1"}"#);
    let both = rendered().unwrap_err().to_string();
    assert!(both.contains("chat_template.json") && both.contains("additional_chat_templates"), "{both}");
    fs::remove_dir_all(dir.path().join("additional_chat_templates")).unwrap();
    assert_eq!(rendered().unwrap(), "1");
    write("tokenizer_config.json", "{\"cut\": ");
    let cut = SpecialTokens::from_dir(dir.path()).unwrap_err().to_string();
    assert!(cut.contains("tokenizer_config.json") && cut.contains("line 1"), "{cut}");
}

#[test]
fn templates_that_differ_are_noted_and_equal_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    let note = || ChatTemplate::from_dir(dir.path(), special()).unwrap().note().map(str::to_owned);
    write("chat_template.jinja", "{{ messages[0].content }}\n");
    assert_eq!(note(), None);
    write("tokenizer_config.json", r#"{"chat_template": "{{ messages[0].content }}"}"#);
    assert_eq!(note(), None);
    write("processor_config.json", r#"{"chat_template": "other"}"#);
    let differs = note().unwrap();
    assert!(
        differs.contains("chat_template.jinja") && differs.contains("processor_config.json"),
        "{differs}"
    );
    assert!(!differs.contains("tokenizer_config.json"), "{differs}");
    write("chat_template.json", r#"{"chat_template": "third"}"#);
    let newer = note().unwrap();
    assert!(newer.contains("chat_template.json counts") && newer.contains("transformers 5"), "{newer}");
}
