//! From the tables to JSON Schema.

use serde_json::{Map, Value, json};

use super::{Default, Entry, Shape, Table};

/// `ParseDuration` of Prometheus, as a regular expression of ECMA-262.
const DURATION: &str =
    "^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$";

/// A file whose outermost map is this one.
pub(super) fn document(root: &'static Table, title: &str) -> Value {
    let tables = reachable(root);
    let definitions: Map<String, Value> =
        tables.iter().skip(1).map(|table| (table.name.to_owned(), map(table))).collect();
    let mut schema = map(root);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = title.into();
    schema["$defs"] = Value::Object(definitions);
    schema
}

/// A table, and all that may stand in it.
pub(super) fn reachable(root: &'static Table) -> Vec<&'static Table> {
    let mut found: Vec<&'static Table> = vec![root];
    let mut at = 0;
    while let Some(table) = found.get(at).copied() {
        for entry in table.entries() {
            in_shape(&entry.shape, &mut found);
        }
        at += 1;
    }
    found
}

fn in_shape(shape: &Shape, found: &mut Vec<&'static Table>) {
    match shape {
        Shape::Map(table) if !found.iter().any(|known| std::ptr::eq(*known, *table)) => {
            found.push(table);
        }
        Shape::List(inner) | Shape::Named(inner) => in_shape(inner, found),
        Shape::Either(shapes) => {
            for shape in *shapes {
                in_shape(shape, found);
            }
        }
        Shape::Map(_)
        | Shape::Text
        | Shape::Quoted
        | Shape::Duration
        | Shape::Count
        | Shape::Flag
        | Shape::Word(_)
        | Shape::Anything => {}
    }
}

fn map(table: &Table) -> Value {
    let title = plain(table.keys.of);
    let mut schema = json!({ "type": "object", "title": title, "additionalProperties": false });
    let properties: Map<String, Value> =
        table.entries().map(|entry| (entry.key.to_owned(), property(entry))).collect();
    let required: Vec<&str> = table
        .entries()
        .filter(|entry| matches!(entry.default, Default::Required))
        .map(|entry| entry.key)
        .collect();
    schema["properties"] = Value::Object(properties);
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !table.one_of.is_empty() {
        let ways: Vec<Value> =
            table.one_of.iter().map(|key| json!({ "required": [key] })).collect();
        schema["oneOf"] = Value::Array(ways);
    }
    schema
}

fn property(entry: &Entry) -> Value {
    let mut schema = shape(&entry.shape);
    schema["description"] = plain(entry.what).into();
    if let Some(default) = entry.default.value() {
        schema["default"] = default;
    }
    schema
}

fn shape(of: &Shape) -> Value {
    match of {
        Shape::Text => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Quoted => json!({ "type": "string" }),
        // A zero needs no unit.
        Shape::Duration => json!({
            "anyOf": [{ "type": "string", "minLength": 1, "pattern": DURATION }, { "const": 0 }],
        }),
        Shape::Count => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Word(words) => json!({ "enum": words }),
        Shape::Map(table) => json!({ "$ref": format!("#/$defs/{}", table.name) }),
        Shape::List(inner) => json!({ "type": "array", "items": shape(inner) }),
        Shape::Named(inner) => json!({ "type": "object", "additionalProperties": shape(inner) }),
        Shape::Either(shapes) => {
            let shapes: Vec<Value> = shapes.iter().map(shape).collect();
            json!({ "anyOf": shapes })
        }
        Shape::Anything => json!({ "type": ["string", "number", "boolean", "array", "object"] }),
    }
}

/// Markdown without its links and its marks for code.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        plain.push_str(before);
        let linked = link.split_once("](").and_then(|(words, after)| {
            let (_, after) = after.split_once(')')?;
            (!words.contains(['[', ']'])).then_some((words, after))
        });
        if let Some((words, after)) = linked {
            plain.push_str(words);
            rest = after;
        } else {
            plain.push('[');
            rest = link;
        }
    }
    plain.push_str(rest);
    plain.replace('`', "")
}
