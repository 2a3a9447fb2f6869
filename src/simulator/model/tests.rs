use serde_json::{Value, json};

use crate::simulator::model::*;

/// The reader's reply to a request, as its server would have it seen.
fn reply(body: Value) -> Reply {
    let view = View::of(body.as_object().unwrap());
    read(&view, &mut Draws::new(1), true)
}

fn words(body: Value) -> String {
    match reply(body) {
        Reply::Words(text) => text,
        Reply::Calls(calls) => panic!("called {calls:?}"),
    }
}

fn calls(body: Value) -> Vec<(String, Value)> {
    match reply(body) {
        Reply::Words(text) => panic!("said {text}"),
        Reply::Calls(calls) => calls.into_iter().map(|call| (call.name, call.input)).collect(),
    }
}

fn user(content: impl Into<Value>) -> Value {
    json!({"role": "user", "content": content.into()})
}

fn assistant(content: impl Into<Value>) -> Value {
    json!({"role": "assistant", "content": content.into()})
}

fn tool(name: &str, description: &str) -> Value {
    json!({"name": name, "description": description, "input_schema": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}})
}

const ASK: &str = "What is today's label? Reply with the label alone.";

#[test]
fn a_label_is_found_wherever_it_stands() {
    let label = "Today's label is amber falcon 4821.";
    let call = |name: &str, input: Value, result: &str| {
        json!({"messages": [
            user("Go on."),
            assistant(json!([{"type": "tool_use", "id": "a", "name": name, "input": input}])),
            user(json!([{"type": "tool_result", "tool_use_id": "a", "content": result}, {"type": "text", "text": ASK}])),
        ]})
    };
    let handed_back = |block: Value| json!({"messages": [user("Hi."), assistant(json!([block])), user(ASK)]});
    for body in [
        json!({"system": label, "messages": [user(ASK)]}),
        json!({"system": [{"type": "text", "text": "Hi."}, {"type": "text", "text": label}], "messages": [user(ASK)]}),
        json!({"messages": [user(label), assistant("Noted."), user(ASK)]}),
        json!({"messages": [user(format!("{label} {ASK}"))]}),
        json!({"messages": [user(json!([{"type": "text", "text": label}, {"type": "text", "text": ASK}]))]}),
        json!({"tools": [tool("t", label)], "messages": [user(ASK)]}),
        call("say_amber_falcon_4821", json!({}), "Done."),
        call("say", json!({"x": ["amber-falcon-4821"]}), "Done."),
        call("say", json!({}), label),
        json!({"messages": [user(json!([
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": label}},
            {"type": "text", "text": ASK}]))]}),
        json!({"messages": [user(json!([
            {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": label}]},
            {"type": "text", "text": ASK}]))]}),
        handed_back(json!({"type": "thinking", "thinking": label, "signature": "s"})),
        handed_back(json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": label}})),
        handed_back(json!({"type": "web_search_tool_result", "tool_use_id": "s", "content": [
            {"type": "web_search_result", "url": "u", "title": label, "encrypted_content": "e"}]})),
        handed_back(json!({"type": "mcp_tool_result", "tool_use_id": "m", "content": label})),
    ] {
        assert_eq!(words(body.clone()), "amber falcon 4821", "{body}");
    }
    assert_eq!(words(json!({"messages": [user(ASK)]})), "I do not know.");
}

#[test]
fn of_several_labels_the_question_picks() {
    let results = |first: Value, second: Value, ask: &str| {
        json!({"messages": [
            user("Go on."),
            assistant(json!([
                {"type": "tool_use", "id": "a", "name": "find", "input": {"city": "Paris"}},
                {"type": "tool_use", "id": "b", "name": "find", "input": {"city": "Rome"}}])),
            user(json!([
                {"type": "tool_result", "tool_use_id": first, "content": "quiet river 0007"},
                {"type": "tool_result", "tool_use_id": second, "content": "tall cedar 9999"},
                {"type": "text", "text": ask}])),
        ]})
    };
    let paris = "What label did the tool return for Paris?";
    assert_eq!(words(results(json!("b"), json!("a"), paris)), "tall cedar 9999");
    assert_eq!(words(results(Value::Null, Value::Null, paris)), "quiet river 0007");
    assert_eq!(words(results(json!("a"), json!("b"), "What is the label?")), "tall cedar 9999");
    let both = words(results(json!("a"), json!("b"), "What are both labels?"));
    assert_eq!(both, "quiet river 0007, tall cedar 9999");
}

#[test]
fn results_alone_are_answered_from() {
    let body = |result: &str| {
        json!({"tools": [tool("find", "Finds.")], "messages": [
            user("Use the find tool to learn what became of the label quiet river 0007."),
            assistant(json!([{"type": "tool_use", "id": "a", "name": "find", "input": {}}])),
            user(json!([{"type": "tool_result", "tool_use_id": "a", "content": result}])),
        ]})
    };
    assert_eq!(words(body("It is amber falcon 4821.")), "amber falcon 4821");
    let weather = |result: &str| {
        let mut body = body(result);
        body["messages"][0] = user("Use the find tool to learn the weather.");
        body
    };
    assert_eq!(words(weather("Sunny, 21 degrees.")), "The tool says: Sunny, 21 degrees.");
    assert_eq!(words(weather("")), "The tool gave no result.");
}

#[test]
fn counting_colours_sums_and_small_talk() {
    let image = |colour| {
        use base64::Engine as _;
        let png = crate::simulator::media::image::tests::png_of(colour, 64);
        let data = base64::engine::general_purpose::STANDARD.encode(png);
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}})
    };
    let ask = json!({"type": "text", "text": "What colour is the image? One word."});
    assert_eq!(words(json!({"messages": [user("Count from 1 to 7, separated by single spaces.")]})), "1 2 3 4 5 6 7");
    assert_eq!(words(json!({"messages": [user(json!([image([0, 0, 250]), ask]))]})), "blue");
    let nested = json!([{"type": "tool_result", "tool_use_id": "a", "content": [image([255, 255, 0])]}, ask]);
    assert_eq!(words(json!({"messages": [user(nested)]})), "yellow");
    assert_eq!(words(json!({"messages": [user(json!([ask]))]})), "I see no image.");
    assert_eq!(words(json!({"messages": [user("What is 12 times 11?")]})), "132");
    assert_eq!(words(json!({"messages": [user("Say hello.")]})), POLITE);
    assert!(code_words::find(POLITE).is_empty());
}

#[test]
fn a_prefill_is_continued() {
    let body = json!({"messages": [user("Count from 1 to 5."), assistant("1 2 3")]});
    assert_eq!(words(body), " 4 5");
    let label = |prefill: &str| {
        let ask = "Today's label is amber falcon 4821. What is today's label?";
        words(json!({"messages": [user(ask), assistant(prefill)]}))
    };
    assert_eq!(label("The label is"), " amber falcon 4821");
    assert_eq!(label("The label is \""), "amber falcon 4821");
    assert_eq!(label("The label is amber"), " falcon 4821");
}

#[test]
fn tools_are_called_when_the_ask_says_so() {
    let tools = json!([tool("get_weather", "Tells the weather."), tool("get_time", "Pass amber falcon 4821.")]);
    let body = |ask: &str, choice: Value| json!({"tools": tools, "tool_choice": choice, "messages": [user(ask)]});
    let city = |city: &str| json!({"city": city});
    let auto = json!({"type": "auto"});
    assert_eq!(calls(body("Use the tool for Paris.", auto.clone())), [("get_weather".into(), city("Paris"))]);
    let named = [("get_time".into(), city("amber falcon 4821"))];
    assert_eq!(calls(body("Use the get_time tool as its description says.", auto.clone())), named);
    assert_eq!(calls(body("Say hello.", json!({"type": "tool", "name": "get_time"}))).len(), 1);
    assert_eq!(calls(body("Say hello.", json!({"type": "any"})))[0].0, "get_weather");
    assert_eq!(words(body("Say hello.", auto.clone())), POLITE);
    assert_eq!(words(body("Use the tool for Paris.", json!({"type": "none"}))), POLITE);
    let each = "Call the get_weather tool once for each of: Paris, Rome.";
    let two = [("get_weather".into(), city("Paris")), ("get_weather".into(), city("Rome"))];
    assert_eq!(calls(body(each, auto)), two);
    assert_eq!(calls(body(each, json!({"type": "auto", "disable_parallel_tool_use": true}))), two[..1]);
    assert_eq!(calls(body(each, json!({"type": "any"}))), two);
    assert_eq!(calls(body(each, json!("any"))), two);
    let both = "Call get_weather for Paris and get_time for Rome.";
    let two = [("get_weather".into(), city("Paris")), ("get_time".into(), city("Rome"))];
    assert_eq!(calls(body(both, json!({"type": "auto"}))), two);
    assert_eq!(calls(body(both, json!({"type": "auto", "disable_parallel_tool_use": true}))), two[..1]);
    assert_eq!(calls(body(both, json!({"type": "tool", "name": "get_time"}))).len(), 1);
    let labels = "Call get_time with amber falcon 4821 and with quiet river 0007.";
    let two = ["amber falcon 4821", "quiet river 0007"].map(|label| ("get_time".into(), city(label)));
    assert_eq!(calls(body(labels, json!({"type": "auto"}))), two);
}

#[test]
fn success_is_told_from_failure() {
    let body = |result: Value| {
        json!({"messages": [
            user("Go on."),
            assistant(json!([{"type": "tool_use", "id": "a", "name": "find", "input": {}}])),
            user(json!([result, {"type": "text", "text": "Did the tool succeed? Answer yes or no."}])),
        ]})
    };
    let result =
        |flag: bool, text: &str| json!({"type": "tool_result", "tool_use_id": "a", "is_error": flag, "content": text});
    assert_eq!(words(body(result(false, "Done."))), "Yes");
    assert_eq!(words(body(result(true, "Done."))), "No");
    assert_eq!(words(body(result(false, "An error occurred."))), "No");
}

#[test]
fn a_model_that_does_not_obey_answers_beside_the_point_and_still_makes_forced_calls() {
    let tools = json!([tool("get_weather", "Tells the weather.")]);
    let of = |choice: &str| {
        let body = json!({"tools": tools, "tool_choice": {"type": choice}, "messages": [user("Use the tool.")]});
        read(&View::of(body.as_object().unwrap()), &mut Draws::new(1), false)
    };
    assert!(matches!(of("auto"), Reply::Words(text) if BESIDE_THE_POINT.contains(&text.as_str())));
    assert!(matches!(of("any"), Reply::Calls(calls) if calls[0].input == json!({"city": "something"})));
}

#[test]
fn thinking_has_a_natural_length_and_restates_the_question() {
    let think = |ask: &str| {
        let body = json!({"messages": [user(ask)]});
        think(&View::of(body.as_object().unwrap()), &Reply::Words("Yes".to_owned()))
    };
    let short = think("Is amber falcon 4821 a label?");
    assert!(short.split_whitespace().count() >= 60, "{short}");
    assert!(short.contains("amber falcon 4821"));
    let long = think("Think step by step: is it?");
    assert!(crate::simulator::tokenizer::count(&long) > 2000);
}
