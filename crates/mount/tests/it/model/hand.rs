//! System calls, made by a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use model::{Answer, Errno};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A process that makes system calls one by one. Ends with its input.
pub(super) struct Hand {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Hand {
    pub(super) fn start() -> Self {
        let mut process = Command::new("python3")
            .args(["-c", include_str!("hand.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, orders, answers }
    }

    /// Makes a call: its name, and its arguments.
    pub(super) fn call<T: DeserializeOwned>(&mut self, words: &Value) -> Answer<T> {
        writeln!(self.orders, "{words}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let mut answer: Value = serde_json::from_str(&line).unwrap();
        match answer.get("errno").and_then(Value::as_i64) {
            Some(errno) => Err(Errno::from_raw_os_error(i32::try_from(errno).unwrap())),
            None => Ok(serde_json::from_value(answer["done"].take()).unwrap()),
        }
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
