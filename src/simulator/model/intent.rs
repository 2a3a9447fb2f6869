//! The plain English that the model understands: what a question or an instruction wants.
//!
//! Each function looks at one text. It must not know the rest of the prompt.

use std::collections::{HashMap, HashSet};

use crate::simulator::media::image::find_colour;
use crate::simulator::model::code_words;
use crate::simulator::prompt::PromptTool;

/// The largest number of numbers that the model counts.
const MAX_COUNTED_NUMBERS: u64 = 2000;

/// The words of a text, with their case: letters, digits, underscores, hyphens, and apostrophes
/// inside.
pub(super) fn split_words(text: &str) -> Vec<&str> {
    text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '\'' | '’')))
        .map(|word| word.trim_matches(['\'', '’']))
        .filter(|word| !word.is_empty())
        .collect()
}

fn equals_word(word: &str, other: &str) -> bool {
    word.eq_ignore_ascii_case(other)
}

fn contains_word(words: &[&str], any: &[&str]) -> bool {
    words.iter().any(|word| any.iter().any(|other| equals_word(word, other)))
}

/// The largest number of names or items that the model handles.
const MAX_ITEMS: usize = 32;

/// Whether the text is about labels: its questions if it has any, otherwise the whole text.
pub(super) fn is_about_labels(text: &str) -> bool {
    let is_question = |sentence: &&str| sentence.ends_with('?');
    let mut questions = text.split_inclusive(['.', '?', '!', ';', '\n']).filter(is_question).peekable();
    let names_label = |part: &str| contains_word(&split_words(part), &["label", "labels"]);
    if questions.peek().is_some() { questions.any(names_label) } else { names_label(text) }
}

/// Whether the text wants every label: "both labels", "all the labels".
pub(super) fn wants_all_labels(text: &str) -> bool {
    let words = split_words(text);
    (0..words.len()).any(|i| {
        let near = &words[i..words.len().min(i + 4)];
        contains_word(&near[..1], &["both", "all", "every"]) && contains_word(near, &["label", "labels"])
    })
}

/// The capitalized words after "for".
pub(super) fn names_after_for(text: &str) -> Vec<&str> {
    let words = split_words(text);
    let pairs = words.windows(2).filter(|pair| equals_word(pair[0], "for"));
    pairs.map(|pair| pair[1]).filter(|name| name.starts_with(char::is_uppercase)).take(MAX_ITEMS).collect()
}

/// The bounds in "count from A to B".
pub(super) fn parse_count_range(text: &str) -> Option<(u64, u64)> {
    let words = split_words(text);
    let start = words.iter().position(|word| equals_word(word, "count"))?;
    let mut numbers = words[start..].iter().filter_map(|word| word.parse::<u64>().ok());
    let (from, to) = match (numbers.next()?, numbers.next()) {
        (from, Some(to)) => (from, to),
        (to, None) => (1, to),
    };
    (from.abs_diff(to) < MAX_COUNTED_NUMBERS).then_some((from, to))
}

/// The text in "repeat exactly the following text: …".
pub(super) fn text_to_repeat(text: &str) -> Option<&str> {
    let start = text.to_ascii_lowercase().find("repeat exactly")?;
    let (_, wanted) = text[start..].split_once(':')?;
    Some(wanted.trim()).filter(|wanted| !wanted.is_empty())
}

/// Whether the text is about a colour.
pub(super) fn is_about_colour(text: &str) -> bool {
    contains_word(&split_words(text), &["colour", "color", "colours", "colors"])
}

/// The colour in a statement such as "the colour of … is red".
pub(super) fn find_stated_colour(text: &str) -> Option<&'static str> {
    let words = split_words(text);
    let from = words.iter().rposition(|word| equals_word(word, "colour") || equals_word(word, "color"))?;
    let verb = from + words[from..].iter().position(|word| equals_word(word, "is"))?;
    find_colour(words.get(verb + 1)?)
}

/// Whether the text wants something random.
pub(super) fn wants_random(text: &str) -> bool {
    contains_word(&split_words(text), &["random", "randomly"])
}

/// Whether the text wants a number.
pub(super) fn wants_number(text: &str) -> bool {
    contains_word(&split_words(text), &["number", "numbers"])
}

/// Whether "yes" means success, if the text wants a yes or no about success or failure.
pub(super) fn yes_means_success(text: &str) -> Option<bool> {
    let words = split_words(text);
    let starts = |stem: &str| words.iter().any(|word| word.to_ascii_lowercase().starts_with(stem));
    let is_yes_or_no = contains_word(&words, &["yes", "no"]);
    match (starts("succe"), starts("fail")) {
        (true, _) if is_yes_or_no => Some(true),
        (false, true) if is_yes_or_no => Some(false),
        _ => None,
    }
}

/// Whether the text asks which call failed.
pub(super) fn wants_failed_call(text: &str) -> bool {
    let words = split_words(text);
    contains_word(&words, &["which"]) && words.iter().any(|word| word.to_ascii_lowercase().starts_with("fail"))
}

/// The name in a statement such as "the mail for Rome failed".
pub(super) fn find_failed_name(text: &str) -> Option<&str> {
    let words = split_words(text);
    let at = words.iter().position(|word| equals_word(word, "failed"))?;
    words[..at].iter().rev().find(|word| word.starts_with(char::is_uppercase) && word.len() > 3).copied()
}

/// The first capitalized word of a call's input.
pub(super) fn first_capitalised_word(input: &str) -> Option<&str> {
    split_words(input).into_iter().find(|word| word.starts_with(char::is_uppercase))
}

/// The result of the product, the sum or the difference in the text.
pub(super) fn evaluate_arithmetic(text: &str) -> Option<u128> {
    let spaced: String =
        text.chars().flat_map(|c| if "*×+".contains(c) { vec![' ', c, ' '] } else { vec![c] }).collect();
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

/// Whether the text instructs the model to use a tool.
pub(super) fn wants_tool(text: &str, tools: &[PromptTool]) -> bool {
    let names: HashSet<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    tool_sentences(text, &names).next().is_some()
}

/// The sentences that instruct the model to use a tool.
fn tool_sentences<'a>(text: &'a str, names: &HashSet<&str>) -> impl Iterator<Item = &'a str> {
    text.split(['.', '!', '?', '\n', ';']).filter(|sentence| sentence_wants_tool(sentence, names))
}

/// The tools to use, each with the words that say what for: "call `a` for Paris and `b` for Rome".
/// Empty for fewer than two.
pub(super) fn tool_tasks<'a, 't>(text: &'a str, tools: &'t [PromptTool]) -> Vec<(&'t PromptTool, &'a str)> {
    let by_name: HashMap<&str, &PromptTool> = tools.iter().rev().map(|tool| (tool.name.as_str(), tool)).collect();
    let names: HashSet<&str> = by_name.keys().copied().collect();
    let mut tasks: Vec<(&PromptTool, &str)> = Vec::new();
    for sentence in tool_sentences(text, &names) {
        // The position of each tool name. A name after "not" or "or" is not wanted.
        let mut starts: Vec<(&PromptTool, usize)> = Vec::new();
        let mut is_joined = true;
        for word in split_words(sentence) {
            let at = word.as_ptr() as usize - sentence.as_ptr() as usize;
            match by_name.get(word) {
                Some(tool) if is_joined => {
                    starts.push((tool, at));
                    is_joined = false;
                }
                Some(_) => {}
                None => is_joined |= contains_word(&[word], &["and", "then"]),
            }
        }
        let wants_all = contains_nearby(sentence, &["both", "all", "each", "every"], &["tools", "tool", "functions"]);
        if starts.is_empty() && wants_all {
            tasks.extend(tools.iter().map(|tool| (tool, sentence)));
        }
        // "For Paris call `a`" has the purpose before the tool, "call `a` for Paris" after it.
        let head = &sentence[..starts.first().map_or(0, |(_, at)| *at)];
        let is_before = !names_after_for(head).is_empty() || code_words::find_last(head).is_some();
        let end_of = |i: usize| starts.get(i).map_or(sentence.len(), |(_, at)| *at);
        for (i, (tool, at)) in starts.iter().enumerate() {
            let previous = if i == 0 { 0 } else { starts[i - 1].1 };
            let purpose = if is_before { previous..*at } else { *at..end_of(i + 1) };
            tasks.push((tool, &sentence[purpose]));
        }
    }
    tasks.truncate(MAX_ITEMS);
    if tasks.len() > 1 { tasks } else { Vec::new() }
}

/// Whether one of the first words is followed closely by one of the second.
fn contains_nearby(text: &str, first: &[&str], second: &[&str]) -> bool {
    let words = split_words(text);
    (0..words.len())
        .any(|i| contains_word(&words[i..=i], first) && contains_word(&words[i..words.len().min(i + 3)], second))
}

/// The labels in the instructions to use a tool. Empty for fewer than two.
pub(super) fn labels_to_pass(text: &str, tools: &[PromptTool]) -> Vec<String> {
    let names: HashSet<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    let mut labels: Vec<String> = tool_sentences(text, &names).flat_map(code_words::find_all).take(MAX_ITEMS).collect();
    labels.dedup();
    if labels.len() > 1 { labels } else { Vec::new() }
}

/// Words that begin a question about the past instead of an instruction.
const QUESTION_WORDS: &[&str] = &[
    "what", "which", "who", "whom", "whose", "when", "where", "why", "how", "did", "does", "do", "is", "are", "was",
    "were", "has", "have", "had",
];

/// Words that negate an instruction.
const NEGATION_WORDS: &[&str] = &["not", "never", "without", "don't", "don’t", "cannot", "no", "neither"];

fn sentence_wants_tool(sentence: &str, names: &HashSet<&str>) -> bool {
    let words = split_words(sentence);
    let Some(first) = words.first() else { return false };
    let is_question =
        QUESTION_WORDS.iter().any(|q| equals_word(first, q)) && !words.get(1).is_some_and(|w| equals_word(w, "not"));
    if is_question {
        return false;
    }
    let is_tool = |word: &&str| contains_word(&[word], &["tool", "tools", "function"]) || names.contains(word);
    let last_tool = words.iter().rposition(is_tool);
    words.iter().enumerate().any(|(i, word)| {
        let (before, after) = (&words[i.saturating_sub(3)..i], &words[i + 1..]);
        let looks_up = equals_word(word, "look") && after.iter().take(4).any(|w| equals_word(w, "up"));
        let uses = contains_word(&[word], &["use", "call", "invoke", "run", "using", "calling"]) && last_tool > Some(i);
        (looks_up || uses)
            && !contains_word(before, NEGATION_WORDS)
            && !after.first().is_some_and(|w| contains_word(&[w], NEGATION_WORDS))
    })
}

/// The first tool that the text names.
pub(super) fn find_named_tool<'a>(text: &str, tools: &'a [PromptTool]) -> Option<&'a PromptTool> {
    // If two tools have the same name, the first one counts.
    let by_name: HashMap<&str, &PromptTool> = tools.iter().rev().map(|tool| (tool.name.as_str(), tool)).collect();
    split_words(text).into_iter().find_map(|word| by_name.get(word).copied())
}

/// The items after "each of", as in "once for each of: Paris, Rome and Oslo."
pub(super) fn list_items(text: &str) -> Vec<&str> {
    let lower = text.to_ascii_lowercase();
    let Some(start) = lower.find("each of") else { return Vec::new() };
    let rest = &text[start + "each of".len()..];
    let line = rest.split(['.', '\n', '!', '?', ';']).next().unwrap_or_default();
    let list = line.split_once(':').map_or(line, |(_, list)| list);
    list.split(',')
        .flat_map(|part| part.split(" and "))
        .map(|item| item.trim().trim_start_matches("and ").trim_matches(['"', '\'', '`', ' ']))
        .filter(|item| !item.is_empty())
        .take(MAX_ITEMS)
        .collect()
}

/// The first capitalized word that does not begin a sentence.
pub(super) fn find_proper_name(text: &str) -> Option<&str> {
    text.split(['.', '!', '?', '\n', ':']).find_map(|sentence| {
        split_words(sentence)
            .into_iter()
            .skip(1)
            .find(|word| word.len() > 1 && word.starts_with(|c: char| c.is_ascii_uppercase()) && !word.contains('_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_tools() -> Vec<PromptTool> {
        ["get_weather", "get_time"]
            .map(|name| PromptTool { name: name.into(), description: String::new(), schema: None })
            .to_vec()
    }

    #[test]
    fn instructions_to_use_a_tool_differ_from_questions_about_tools() {
        for text in [
            "Use the tool to find today's label.",
            "Call get_time.",
            "Please use the get_weather tool for Paris.",
            "Look up the weather in Oslo.",
            "Hello. Now call the tool once for each of: Paris, Rome",
            "Could you run the get_time function?",
        ] {
            assert!(wants_tool(text, &sample_tools()), "{text}");
        }
        for text in [
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
            assert!(!wants_tool(text, &sample_tools()), "{text}");
        }
    }

    #[test]
    fn several_tools_can_have_a_purpose_each() {
        let wanted = |text: &str| -> Vec<(String, String)> {
            let tools = sample_tools();
            tool_tasks(text, &tools)
                .into_iter()
                .map(|(tool, words)| (tool.name.clone(), words.trim().to_owned()))
                .collect()
        };
        let two = [("get_weather", "get_weather for Paris and"), ("get_time", "get_time for Rome")];
        let two = two.map(|(tool, words)| (tool.to_owned(), words.to_owned()));
        assert_eq!(wanted("Call get_weather for Paris and get_time for Rome."), two);
        let turned: Vec<String> =
            wanted("For Paris call get_weather and for Rome call get_time.").into_iter().map(|w| w.1).collect();
        assert!(turned[0].contains("Paris") && turned[1].contains("Rome"), "{turned:?}");
        assert_eq!(wanted("Call get_time. Then call get_weather.").len(), 2);
        assert_eq!(wanted("Call both tools.").len(), 2);
        for text in
            ["Call get_weather.", "Call get_weather, not get_time.", "Say hello.", "Use get_weather or get_time."]
        {
            assert!(wanted(text).is_empty(), "{text}");
        }
        let both = labels_to_pass("Call get_time with amber falcon 4821 and with quiet river 0007.", &sample_tools());
        assert_eq!(both, ["amber falcon 4821", "quiet river 0007"]);
        assert!(labels_to_pass("Call get_time with amber falcon 4821.", &sample_tools()).is_empty());
    }

    #[test]
    fn list_items_are_separate() {
        assert_eq!(list_items("Use the tool once for each of: Paris, Rome."), ["Paris", "Rome"]);
        assert_eq!(list_items("for each of these cities: New York, Oslo, and Rome"), ["New York", "Oslo", "Rome"]);
        assert_eq!(list_items("Call it for each of Paris and Rome."), ["Paris", "Rome"]);
        assert!(list_items("Call the tool.").is_empty());
    }

    #[test]
    fn all_labels_can_be_wanted() {
        for text in ["What are both labels?", "Reply with all the labels", "Name all labels.", "both labels"] {
            assert!(wants_all_labels(text), "{text}");
        }
        for text in ["Reply with the label alone.", "What is today's label?", "The label and nothing else at all", ""] {
            assert!(!wants_all_labels(text), "{text}");
        }
    }

    #[test]
    fn counts_sums_and_names_are_parsed() {
        assert_eq!(parse_count_range("Count from 1 to 20, separated by single spaces."), Some((1, 20)));
        assert_eq!(parse_count_range("Count from 1 to 99999999999"), None);
        assert_eq!(evaluate_arithmetic("What is 12 * 12?"), Some(144));
        assert_eq!(evaluate_arithmetic("How much is 7 times 6?"), Some(42));
        assert_eq!(evaluate_arithmetic("What is 3*4"), Some(12));
        assert_eq!(evaluate_arithmetic("Say hello."), None);
        assert_eq!(names_after_for("What label did the tool return for Paris?"), ["Paris"]);
        assert_eq!(find_proper_name("Use the tool for Paris."), Some("Paris"));
        assert_eq!(find_named_tool("Use get_time, please.", &sample_tools()).unwrap().name, "get_time");
    }

    #[test]
    fn failed_calls_have_names() {
        assert!(wants_failed_call("For which city did the tool fail?") && !wants_failed_call("Did the tool fail?"));
        assert_eq!(find_failed_name("The mail for Rome failed."), Some("Rome"));
        assert_eq!(find_failed_name("It failed."), None);
    }

    #[test]
    fn yes_can_mean_success_or_failure() {
        assert_eq!(yes_means_success("Did the tool succeed? Answer yes or no."), Some(true));
        assert_eq!(yes_means_success("Did it fail, yes or no?"), Some(false));
        assert_eq!(yes_means_success("Did it succeed or fail? Answer yes if it succeeded."), Some(true));
        assert_eq!(yes_means_success("Tell me whether it failed."), None);
    }
}
