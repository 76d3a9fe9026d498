//! What a node is marked with.

use serde_json::{Value, json};

/// A label and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// What is to be with a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Taints with this key are to be gone.
    pub without_taint: Option<String>,
    /// This label is to be there.
    pub with_label: Option<Label>,
    /// No label with this key is to be there.
    pub without_label: Option<String>,
}

impl Marks {
    /// The merge patch that brings them about on a node that is like `now`; nothing when it is
    /// marked that way already. It fails where somebody else changes the node in between.
    pub fn change(&self, now: &Value) -> Option<Value> {
        let mut labels = serde_json::Map::new();
        let has = |key: &str| now["metadata"]["labels"].get(key).and_then(Value::as_str);
        if let Some(Label { key, value }) = &self.with_label
            && has(key) != Some(value)
        {
            labels.insert(key.clone(), json!(value));
        }
        if let Some(key) = &self.without_label
            && has(key).is_some()
        {
            labels.insert(key.clone(), Value::Null);
        }
        let taints = now["spec"]["taints"].as_array().map_or(&[][..], Vec::as_slice);
        let unwanted =
            |taint: &&Value| self.without_taint.as_deref().is_some_and(|key| taint["key"] == *key);
        let left: Vec<&Value> = taints.iter().filter(|taint| !unwanted(taint)).collect();
        let mut change = json!({
            "metadata": { "resourceVersion": now["metadata"]["resourceVersion"] }
        });
        if labels.is_empty() && left.len() == taints.len() {
            return None;
        }
        if !labels.is_empty() {
            change["metadata"]["labels"] = Value::Object(labels);
        }
        if left.len() < taints.len() {
            // A merge patch replaces a list whole, hence the resource version.
            change["spec"] = json!({ "taints": left });
        }
        Some(change)
    }
}

#[cfg(test)]
mod tests;
