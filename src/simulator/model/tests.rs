use serde_json::{Value, json};

use crate::simulator::model::code_words;
use crate::simulator::model::respond::*;
use crate::simulator::prompt::ModelPrompt;
use crate::simulator::rng::RequestRng;

/// The output of the model for a request.
fn respond_to(body: Value) -> ModelOutput {
    let view = ModelPrompt::from_body(body.as_object().unwrap());
    respond(&view, &mut RequestRng::new(1), true)
}

fn text_reply(body: Value) -> String {
    match respond_to(body) {
        ModelOutput::Text(text) => text,
        ModelOutput::ToolCalls(calls) => panic!("called {calls:?}"),
    }
}

fn tool_calls(body: Value) -> Vec<(String, Value)> {
    match respond_to(body) {
        ModelOutput::Text(text) => panic!("said {text}"),
        ModelOutput::ToolCalls(calls) => calls.into_iter().map(|call| (call.name, call.input)).collect(),
    }
}

fn user_message(content: impl Into<Value>) -> Value {
    json!({"role": "user", "content": content.into()})
}

fn assistant_message(content: impl Into<Value>) -> Value {
    json!({"role": "assistant", "content": content.into()})
}

fn tool_definition(name: &str, description: &str) -> Value {
    json!({"name": name, "description": description, "input_schema": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}})
}

const LABEL_QUESTION: &str = "What is today's label? Reply with the label alone.";

#[test]
fn a_label_is_found_anywhere_in_the_prompt() {
    let label = "Today's label is amber falcon 4821.";
    let call = |name: &str, input: Value, result: &str| {
        json!({"messages": [
            user_message("Go on."),
            assistant_message(json!([{"type": "tool_use", "id": "a", "name": name, "input": input}])),
            user_message(json!([{"type": "tool_result", "tool_use_id": "a", "content": result}, {"type": "text", "text": LABEL_QUESTION}])),
        ]})
    };
    let sent_back = |block: Value| json!({"messages": [user_message("Hi."), assistant_message(json!([block])), user_message(LABEL_QUESTION)]});
    for body in [
        json!({"system": label, "messages": [user_message(LABEL_QUESTION)]}),
        json!({"system": [{"type": "text", "text": "Hi."}, {"type": "text", "text": label}], "messages": [user_message(LABEL_QUESTION)]}),
        json!({"messages": [user_message(label), assistant_message("Noted."), user_message(LABEL_QUESTION)]}),
        json!({"messages": [user_message(format!("{label} {LABEL_QUESTION}"))]}),
        json!({"messages": [user_message(json!([{"type": "text", "text": label}, {"type": "text", "text": LABEL_QUESTION}]))]}),
        json!({"tools": [tool_definition("t", label)], "messages": [user_message(LABEL_QUESTION)]}),
        call("say_amber_falcon_4821", json!({}), "Done."),
        call("say", json!({"x": ["amber-falcon-4821"]}), "Done."),
        call("say", json!({}), label),
        json!({"messages": [user_message(json!([
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": label}},
            {"type": "text", "text": LABEL_QUESTION}]))]}),
        json!({"messages": [user_message(json!([
            {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": label}]},
            {"type": "text", "text": LABEL_QUESTION}]))]}),
        sent_back(json!({"type": "thinking", "thinking": label, "signature": "s"})),
        sent_back(json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": label}})),
        sent_back(json!({"type": "web_search_tool_result", "tool_use_id": "s", "content": [
            {"type": "web_search_result", "url": "u", "title": label, "encrypted_content": "e"}]})),
        sent_back(json!({"type": "mcp_tool_result", "tool_use_id": "m", "content": label})),
    ] {
        assert_eq!(text_reply(body.clone()), "amber falcon 4821", "{body}");
    }
    assert_eq!(text_reply(json!({"messages": [user_message(LABEL_QUESTION)]})), "I do not know.");
}

#[test]
fn the_question_selects_one_of_several_labels() {
    let results = |first: Value, second: Value, ask: &str| {
        json!({"messages": [
            user_message("Go on."),
            assistant_message(json!([
                {"type": "tool_use", "id": "a", "name": "find", "input": {"city": "Paris"}},
                {"type": "tool_use", "id": "b", "name": "find", "input": {"city": "Rome"}}])),
            user_message(json!([
                {"type": "tool_result", "tool_use_id": first, "content": "quiet river 0007"},
                {"type": "tool_result", "tool_use_id": second, "content": "tall cedar 9999"},
                {"type": "text", "text": ask}])),
        ]})
    };
    let paris = "What label did the tool return for Paris?";
    assert_eq!(text_reply(results(json!("b"), json!("a"), paris)), "tall cedar 9999");
    assert_eq!(text_reply(results(Value::Null, Value::Null, paris)), "quiet river 0007");
    assert_eq!(text_reply(results(json!("a"), json!("b"), "What is the label?")), "tall cedar 9999");
    let both = text_reply(results(json!("a"), json!("b"), "What are both labels?"));
    assert_eq!(both, "quiet river 0007, tall cedar 9999");
}

#[test]
fn a_turn_with_only_results_is_answered_from_them() {
    let body = |result: &str| {
        json!({"tools": [tool_definition("find", "Finds.")], "messages": [
            user_message("Use the find tool to learn what became of the label quiet river 0007."),
            assistant_message(json!([{"type": "tool_use", "id": "a", "name": "find", "input": {}}])),
            user_message(json!([{"type": "tool_result", "tool_use_id": "a", "content": result}])),
        ]})
    };
    assert_eq!(text_reply(body("It is amber falcon 4821.")), "amber falcon 4821");
    let weather = |result: &str| {
        let mut body = body(result);
        body["messages"][0] = user_message("Use the find tool to learn the weather.");
        body
    };
    assert_eq!(text_reply(weather("Sunny, 21 degrees.")), "The tool says: Sunny, 21 degrees.");
    assert_eq!(text_reply(weather("")), "The tool gave no result.");
}

#[test]
fn counting_colours_arithmetic_and_other_questions_are_answered() {
    let image = |colour| {
        use base64::Engine as _;
        let png = crate::simulator::media::image::tests::solid_png(colour, 64);
        let data = base64::engine::general_purpose::STANDARD.encode(png);
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}})
    };
    let ask = json!({"type": "text", "text": "What colour is the image? One word."});
    assert_eq!(
        text_reply(json!({"messages": [user_message("Count from 1 to 7, separated by single spaces.")]})),
        "1 2 3 4 5 6 7"
    );
    assert_eq!(text_reply(json!({"messages": [user_message(json!([image([0, 0, 250]), ask]))]})), "blue");
    let nested = json!([{"type": "tool_result", "tool_use_id": "a", "content": [image([255, 255, 0])]}, ask]);
    assert_eq!(text_reply(json!({"messages": [user_message(nested)]})), "yellow");
    assert_eq!(text_reply(json!({"messages": [user_message(json!([ask]))]})), "I see no image.");
    assert_eq!(text_reply(json!({"messages": [user_message("What is 12 times 11?")]})), "132");
    assert_eq!(text_reply(json!({"messages": [user_message("Say hello.")]})), DEFAULT_REPLY);
    assert!(code_words::find_all(DEFAULT_REPLY).is_empty());
}

#[test]
fn a_prefill_is_continued() {
    let body = json!({"messages": [user_message("Count from 1 to 5."), assistant_message("1 2 3")]});
    assert_eq!(text_reply(body), " 4 5");
    let label = |prefill: &str| {
        let ask = "Today's label is amber falcon 4821. What is today's label?";
        text_reply(json!({"messages": [user_message(ask), assistant_message(prefill)]}))
    };
    assert_eq!(label("The label is"), " amber falcon 4821");
    assert_eq!(label("The label is \""), "amber falcon 4821");
    assert_eq!(label("The label is amber"), " falcon 4821");
}

#[test]
fn tools_are_called_when_the_question_asks_for_it() {
    let tools = json!([
        tool_definition("get_weather", "Tells the weather."),
        tool_definition("get_time", "Pass amber falcon 4821.")
    ]);
    let body =
        |ask: &str, choice: Value| json!({"tools": tools, "tool_choice": choice, "messages": [user_message(ask)]});
    let city = |city: &str| json!({"city": city});
    let auto = json!({"type": "auto"});
    assert_eq!(tool_calls(body("Use the tool for Paris.", auto.clone())), [("get_weather".into(), city("Paris"))]);
    let named = [("get_time".into(), city("amber falcon 4821"))];
    assert_eq!(tool_calls(body("Use the get_time tool as its description says.", auto.clone())), named);
    assert_eq!(tool_calls(body("Say hello.", json!({"type": "tool", "name": "get_time"}))).len(), 1);
    assert_eq!(tool_calls(body("Say hello.", json!({"type": "any"})))[0].0, "get_weather");
    assert_eq!(text_reply(body("Say hello.", auto.clone())), DEFAULT_REPLY);
    assert_eq!(text_reply(body("Use the tool for Paris.", json!({"type": "none"}))), DEFAULT_REPLY);
    let each = "Call the get_weather tool once for each of: Paris, Rome.";
    let two = [("get_weather".into(), city("Paris")), ("get_weather".into(), city("Rome"))];
    assert_eq!(tool_calls(body(each, auto)), two);
    assert_eq!(tool_calls(body(each, json!({"type": "auto", "disable_parallel_tool_use": true}))), two[..1]);
    assert_eq!(tool_calls(body(each, json!({"type": "any"}))), two);
    assert_eq!(tool_calls(body(each, json!("any"))), two);
    let both = "Call get_weather for Paris and get_time for Rome.";
    let two = [("get_weather".into(), city("Paris")), ("get_time".into(), city("Rome"))];
    assert_eq!(tool_calls(body(both, json!({"type": "auto"}))), two);
    assert_eq!(tool_calls(body(both, json!({"type": "auto", "disable_parallel_tool_use": true}))), two[..1]);
    assert_eq!(tool_calls(body(both, json!({"type": "tool", "name": "get_time"}))).len(), 1);
    let labels = "Call get_time with amber falcon 4821 and with quiet river 0007.";
    let two = ["amber falcon 4821", "quiet river 0007"].map(|label| ("get_time".into(), city(label)));
    assert_eq!(tool_calls(body(labels, json!({"type": "auto"}))), two);
}

#[test]
fn success_and_failure_are_recognized() {
    let body = |result: Value| {
        json!({"messages": [
            user_message("Go on."),
            assistant_message(json!([{"type": "tool_use", "id": "a", "name": "find", "input": {}}])),
            user_message(json!([result, {"type": "text", "text": "Did the tool succeed? Answer yes or no."}])),
        ]})
    };
    let result =
        |flag: bool, text: &str| json!({"type": "tool_result", "tool_use_id": "a", "is_error": flag, "content": text});
    assert_eq!(text_reply(body(result(false, "Done."))), "Yes");
    assert_eq!(text_reply(body(result(true, "Done."))), "No");
    assert_eq!(text_reply(body(result(false, "An error occurred."))), "No");
}

#[test]
fn a_disobedient_model_changes_the_subject_and_still_makes_forced_calls() {
    let tools = json!([tool_definition("get_weather", "Tells the weather.")]);
    let output_for = |choice: &str| {
        let body =
            json!({"tools": tools, "tool_choice": {"type": choice}, "messages": [user_message("Use the tool.")]});
        respond(&ModelPrompt::from_body(body.as_object().unwrap()), &mut RequestRng::new(1), false)
    };
    assert!(matches!(output_for("auto"), ModelOutput::Text(text) if DISOBEDIENT_REPLIES.contains(&text.as_str())));
    assert!(
        matches!(output_for("any"), ModelOutput::ToolCalls(calls) if calls[0].input == json!({"city": "something"}))
    );
}

#[test]
fn thinking_has_a_natural_length_and_repeats_the_question() {
    let think = |ask: &str| {
        let body = json!({"messages": [user_message(ask)]});
        think(&ModelPrompt::from_body(body.as_object().unwrap()), &ModelOutput::Text("Yes".to_owned()))
    };
    let short = think("Is amber falcon 4821 a label?");
    assert!(short.split_whitespace().count() >= 60, "{short}");
    assert!(short.contains("amber falcon 4821"));
    let long = think("Think step by step: is it?");
    assert!(crate::simulator::tokenizer::count_tokens(&long) > 2000);
}
