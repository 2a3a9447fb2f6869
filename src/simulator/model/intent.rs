//! Plain English as far as the reader knows it: what kind of thing an ask wants.
//!
//! Looks at one text alone; what is visible besides is the reader's own business.

use std::collections::{HashMap, HashSet};

use crate::simulator::prompt::Tool;

/// The most numbers that the model counts.
const PATIENCE: u64 = 2000;

/// The words of a text: letters, digits, underscores, hyphens and apostrophes within, with their case.
pub(super) fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '\'' | '’')))
        .map(|word| word.trim_matches(['\'', '’']))
        .filter(|word| !word.is_empty())
        .collect()
}

fn is(word: &str, other: &str) -> bool {
    word.eq_ignore_ascii_case(other)
}

fn has(words: &[&str], any: &[&str]) -> bool {
    words.iter().any(|word| any.iter().any(|other| is(word, other)))
}

/// The most things that the model keeps apart: names it is asked for, items it goes through.
const ITEMS: usize = 32;

/// The ask is about labels: its question is, where it asks one; else all of it.
pub(super) fn is_about_labels(ask: &str) -> bool {
    let is_question = |sentence: &&str| sentence.ends_with('?');
    let mut questions = ask.split_inclusive(['.', '?', '!', ';', '\n']).filter(is_question).peekable();
    let about = |text: &str| has(&words(text), &["label", "labels"]);
    if questions.peek().is_some() { questions.any(about) } else { about(ask) }
}

/// The ask wants every label, not one: "both labels", "all the labels".
pub(super) fn wants_all_labels(ask: &str) -> bool {
    let words = words(ask);
    (0..words.len()).any(|i| {
        let near = &words[i..words.len().min(i + 4)];
        has(&near[..1], &["both", "all", "every"]) && has(near, &["label", "labels"])
    })
}

/// The capitalised words that follow "for".
pub(super) fn names_after_for(ask: &str) -> Vec<&str> {
    let words = words(ask);
    let pairs = words.windows(2).filter(|pair| is(pair[0], "for"));
    pairs.map(|pair| pair[1]).filter(|name| name.starts_with(char::is_uppercase)).take(ITEMS).collect()
}

/// The bounds of "count from A to B".
pub(super) fn count(ask: &str) -> Option<(u64, u64)> {
    let words = words(ask);
    let start = words.iter().position(|word| is(word, "count"))?;
    let mut numbers = words[start..].iter().filter_map(|word| word.parse::<u64>().ok());
    let (from, to) = match (numbers.next()?, numbers.next()) {
        (from, Some(to)) => (from, to),
        (to, None) => (1, to),
    };
    (from.abs_diff(to) < PATIENCE).then_some((from, to))
}

/// The ask is about a colour.
pub(super) fn is_about_colour(ask: &str) -> bool {
    has(&words(ask), &["colour", "color", "colours", "colors"])
}

/// The colour that a text gives something in words: "the colour of … is red".
pub(super) fn stated_colour(text: &str) -> Option<&'static str> {
    let words = words(text);
    let from = words.iter().rposition(|word| is(word, "colour") || is(word, "color"))?;
    let verb = from + words[from..].iter().position(|word| is(word, "is"))?;
    crate::simulator::media::image::colour_named(words.get(verb + 1)?)
}

/// The ask wants something drawn by chance.
pub(super) fn is_random(ask: &str) -> bool {
    has(&words(ask), &["random", "randomly"])
}

/// The ask wants a number.
pub(super) fn wants_number(ask: &str) -> bool {
    has(&words(ask), &["number", "numbers"])
}

/// The ask wants a yes or no on whether something worked: true when yes stands for success.
pub(super) fn is_about_success(ask: &str) -> Option<bool> {
    let words = words(ask);
    let starts = |stem: &str| words.iter().any(|word| word.to_ascii_lowercase().starts_with(stem));
    let is_yes_or_no = has(&words, &["yes", "no"]);
    match (starts("succe"), starts("fail")) {
        (true, _) if is_yes_or_no => Some(true),
        (false, true) if is_yes_or_no => Some(false),
        _ => None,
    }
}

/// The ask wants to know which of several calls failed.
pub(super) fn wants_failed(ask: &str) -> bool {
    let words = words(ask);
    has(&words, &["which"]) && words.iter().any(|word| word.to_ascii_lowercase().starts_with("fail"))
}

/// The name of which a text says that it failed: "the mail for Rome failed".
pub(super) fn said_to_fail(text: &str) -> Option<&str> {
    let words = words(text);
    let at = words.iter().position(|word| is(word, "failed"))?;
    words[..at].iter().rev().find(|word| word.starts_with(char::is_uppercase) && word.len() > 3).copied()
}

/// The first capitalised word of a call's input.
pub(super) fn proper_value(input: &str) -> Option<&str> {
    words(input).into_iter().find(|word| word.starts_with(char::is_uppercase))
}

/// The result of the product, the sum or the difference that the ask states.
pub(super) fn arithmetic(ask: &str) -> Option<u128> {
    let spaced: String =
        ask.chars().flat_map(|c| if "*×+".contains(c) { vec![' ', c, ' '] } else { vec![c] }).collect();
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let number = |token: &str| {
        token.trim_matches(|c: char| !c.is_ascii_digit()).replace(',', "").parse::<u64>().ok().map(u128::from)
    };
    tokens.windows(3).find_map(|three| {
        let (a, b) = (number(three[0]), number(three[2]));
        match three[1].to_ascii_lowercase().as_str() {
            "*" | "×" | "x" | "times" => a?.checked_mul(b?),
            "+" | "plus" => a?.checked_add(b?),
            "-" | "minus" => a?.checked_sub(b?),
            _ => None,
        }
    })
}

/// The ask tells the model to use a tool now.
pub(super) fn wants_tool(ask: &str, tools: &[Tool]) -> bool {
    let names: HashSet<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    orders(ask, &names).next().is_some()
}

/// The sentences that tell the model to use a tool.
fn orders<'a>(ask: &'a str, names: &HashSet<&str>) -> impl Iterator<Item = &'a str> {
    ask.split(['.', '!', '?', '\n', ';']).filter(|sentence| sentence_wants_tool(sentence, names))
}

/// The tools that are wanted, each with the words that say what for: "call `a` for Paris and `b` for Rome". Empty unless
/// more than one is wanted.
pub(super) fn errands<'a, 't>(ask: &'a str, tools: &'t [Tool]) -> Vec<(&'t Tool, &'a str)> {
    let by_name: HashMap<&str, &Tool> = tools.iter().rev().map(|tool| (tool.name.as_str(), tool)).collect();
    let names: HashSet<&str> = by_name.keys().copied().collect();
    let mut errands: Vec<(&Tool, &str)> = Vec::new();
    for order in orders(ask, &names) {
        // Where each tool is named; one that only stands against another ("not", "or") is not wanted.
        let mut starts: Vec<(&Tool, usize)> = Vec::new();
        let mut is_joined = true;
        for word in words(order) {
            let at = word.as_ptr() as usize - order.as_ptr() as usize;
            match by_name.get(word) {
                Some(tool) if is_joined => {
                    starts.push((tool, at));
                    is_joined = false;
                }
                Some(_) => {}
                None => is_joined |= has(&[word], &["and", "then"]),
            }
        }
        let all = has_near(order, &["both", "all", "each", "every"], &["tools", "tool", "functions"]);
        if starts.is_empty() && all {
            errands.extend(tools.iter().map(|tool| (tool, order)));
        }
        // "For Paris call `a`" says what for in front of the tool, "call `a` for Paris" behind it.
        let head = &order[..starts.first().map_or(0, |(_, at)| *at)];
        let is_in_front =
            !names_after_for(head).is_empty() || crate::simulator::model::code_words::last(head).is_some();
        let end_of = |i: usize| starts.get(i).map_or(order.len(), |(_, at)| *at);
        for (i, (tool, at)) in starts.iter().enumerate() {
            let before = if i == 0 { 0 } else { starts[i - 1].1 };
            let about = if is_in_front { before..*at } else { *at..end_of(i + 1) };
            errands.push((tool, &order[about]));
        }
    }
    errands.truncate(ITEMS);
    if errands.len() > 1 { errands } else { Vec::new() }
}

/// One of the first words stands closely before one of the second.
fn has_near(text: &str, first: &[&str], second: &[&str]) -> bool {
    let words = words(text);
    (0..words.len()).any(|i| has(&words[i..=i], first) && has(&words[i..words.len().min(i + 3)], second))
}

/// The labels that the orders to use a tool name, when there are several.
pub(super) fn labels_to_pass(ask: &str, tools: &[Tool]) -> Vec<String> {
    let names: HashSet<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    let mut labels: Vec<String> =
        orders(ask, &names).flat_map(crate::simulator::model::code_words::find).take(ITEMS).collect();
    labels.dedup();
    if labels.len() > 1 { labels } else { Vec::new() }
}

/// Words that make a sentence a question about what was, rather than an order.
const QUESTION: &[&str] = &[
    "what", "which", "who", "whom", "whose", "when", "where", "why", "how", "did", "does", "do", "is", "are", "was",
    "were", "has", "have", "had",
];

/// Words that turn an order around.
const NOT: &[&str] = &["not", "never", "without", "don't", "don’t", "cannot", "no", "neither"];

fn sentence_wants_tool(sentence: &str, names: &HashSet<&str>) -> bool {
    let words = words(sentence);
    let Some(first) = words.first() else { return false };
    let asks_back = QUESTION.iter().any(|q| is(first, q)) && !words.get(1).is_some_and(|w| is(w, "not"));
    if asks_back {
        return false;
    }
    let is_tool = |word: &&str| has(&[word], &["tool", "tools", "function"]) || names.contains(word);
    let last_tool = words.iter().rposition(is_tool);
    words.iter().enumerate().any(|(i, word)| {
        let (before, after) = (&words[i.saturating_sub(3)..i], &words[i + 1..]);
        let looks_up = is(word, "look") && after.iter().take(4).any(|w| is(w, "up"));
        let uses = has(&[word], &["use", "call", "invoke", "run", "using", "calling"]) && last_tool > Some(i);
        (looks_up || uses) && !has(before, NOT) && !after.first().is_some_and(|w| has(&[w], NOT))
    })
}

/// The tool whose name stands first in the ask.
pub(super) fn named_tool<'a>(ask: &str, tools: &'a [Tool]) -> Option<&'a Tool> {
    // The first of two tools of one name is the one that is meant.
    let by_name: HashMap<&str, &Tool> = tools.iter().rev().map(|tool| (tool.name.as_str(), tool)).collect();
    words(ask).into_iter().find_map(|word| by_name.get(word).copied())
}

/// The things after "each of": "once for each of: Paris, Rome and Oslo."
pub(super) fn each_of(ask: &str) -> Vec<&str> {
    let lower = ask.to_ascii_lowercase();
    let Some(start) = lower.find("each of") else { return Vec::new() };
    let rest = &ask[start + "each of".len()..];
    let line = rest.split(['.', '\n', '!', '?', ';']).next().unwrap_or_default();
    let list = line.split_once(':').map_or(line, |(_, list)| list);
    list.split(',')
        .flat_map(|part| part.split(" and "))
        .map(|item| item.trim().trim_start_matches("and ").trim_matches(['"', '\'', '`', ' ']))
        .filter(|item| !item.is_empty())
        .take(ITEMS)
        .collect()
}

/// A name in the ask: the first word in capitals that does not begin a sentence.
pub(super) fn proper_name(ask: &str) -> Option<&str> {
    ask.split(['.', '!', '?', '\n', ':']).find_map(|sentence| {
        words(sentence)
            .into_iter()
            .skip(1)
            .find(|word| word.len() > 1 && word.starts_with(|c: char| c.is_ascii_uppercase()) && !word.contains('_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools() -> Vec<Tool> {
        ["get_weather", "get_time"]
            .map(|name| Tool { name: name.into(), description: String::new(), schema: None })
            .to_vec()
    }

    #[test]
    fn orders_to_use_a_tool_are_told_from_talk_about_tools() {
        for ask in [
            "Use the tool to find today's label.",
            "Call get_time.",
            "Please use the get_weather tool for Paris.",
            "Look up the weather in Oslo.",
            "Hello. Now call the tool once for each of: Paris, Rome",
            "Could you run the get_time function?",
        ] {
            assert!(wants_tool(ask, &tools()), "{ask}");
        }
        for ask in [
            "What label did the tool return for Paris?",
            "Did you call the tool?",
            "Do not use the tool. Say hello.",
            "Please don't call get_time.",
            "Use no tool. Say hello.",
            "Use the tool's result.",
            "Say hello.",
            "Which tool did you call?",
            "What is 3 times 4?",
        ] {
            assert!(!wants_tool(ask, &tools()), "{ask}");
        }
    }

    #[test]
    fn several_tools_can_be_wanted_each_for_its_own_thing() {
        let wanted = |ask: &str| -> Vec<(String, String)> {
            let tools = tools();
            errands(ask, &tools).into_iter().map(|(tool, words)| (tool.name.clone(), words.trim().to_owned())).collect()
        };
        let two = [("get_weather", "get_weather for Paris and"), ("get_time", "get_time for Rome")];
        let two = two.map(|(tool, words)| (tool.to_owned(), words.to_owned()));
        assert_eq!(wanted("Call get_weather for Paris and get_time for Rome."), two);
        let turned: Vec<String> =
            wanted("For Paris call get_weather and for Rome call get_time.").into_iter().map(|w| w.1).collect();
        assert!(turned[0].contains("Paris") && turned[1].contains("Rome"), "{turned:?}");
        assert_eq!(wanted("Call get_time. Then call get_weather.").len(), 2);
        assert_eq!(wanted("Call both tools.").len(), 2);
        for ask in
            ["Call get_weather.", "Call get_weather, not get_time.", "Say hello.", "Use get_weather or get_time."]
        {
            assert!(wanted(ask).is_empty(), "{ask}");
        }
        let both = labels_to_pass("Call get_time with amber falcon 4821 and with quiet river 0007.", &tools());
        assert_eq!(both, ["amber falcon 4821", "quiet river 0007"]);
        assert!(labels_to_pass("Call get_time with amber falcon 4821.", &tools()).is_empty());
    }

    #[test]
    fn each_item_of_a_list_is_one() {
        assert_eq!(each_of("Use the tool once for each of: Paris, Rome."), ["Paris", "Rome"]);
        assert_eq!(each_of("for each of these cities: New York, Oslo, and Rome"), ["New York", "Oslo", "Rome"]);
        assert_eq!(each_of("Call it for each of Paris and Rome."), ["Paris", "Rome"]);
        assert!(each_of("Call the tool.").is_empty());
    }

    #[test]
    fn labels_can_be_wanted_all_at_once() {
        for ask in ["What are both labels?", "Reply with all the labels", "Name all labels.", "both labels"] {
            assert!(wants_all_labels(ask), "{ask}");
        }
        for ask in ["Reply with the label alone.", "What is today's label?", "The label and nothing else at all", ""] {
            assert!(!wants_all_labels(ask), "{ask}");
        }
    }

    #[test]
    fn counts_sums_and_names_are_understood() {
        assert_eq!(count("Count from 1 to 20, separated by single spaces."), Some((1, 20)));
        assert_eq!(count("Count from 1 to 99999999999"), None);
        assert_eq!(arithmetic("What is 12 * 12?"), Some(144));
        assert_eq!(arithmetic("How much is 7 times 6?"), Some(42));
        assert_eq!(arithmetic("What is 3*4"), Some(12));
        assert_eq!(arithmetic("Say hello."), None);
        assert_eq!(names_after_for("What label did the tool return for Paris?"), ["Paris"]);
        assert_eq!(proper_name("Use the tool for Paris."), Some("Paris"));
        assert_eq!(named_tool("Use get_time, please.", &tools()).unwrap().name, "get_time");
    }

    #[test]
    fn failures_have_names() {
        assert!(wants_failed("For which city did the tool fail?") && !wants_failed("Did the tool fail?"));
        assert_eq!(said_to_fail("The mail for Rome failed."), Some("Rome"));
        assert_eq!(said_to_fail("It failed."), None);
    }

    #[test]
    fn yes_may_stand_for_success_or_for_failure() {
        assert_eq!(is_about_success("Did the tool succeed? Answer yes or no."), Some(true));
        assert_eq!(is_about_success("Did it fail, yes or no?"), Some(false));
        assert_eq!(is_about_success("Did it succeed or fail? Answer yes if it succeeded."), Some(true));
        assert_eq!(is_about_success("Tell me whether it failed."), None);
    }
}
