//! `pgmill create-task --file`: many tasks from lines.

use std::process::Stdio;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpListener;

use crate::served::Served;
use crate::support::{PATIENCE, output, pgmill, stderr};

#[tokio::test]
async fn each_line_of_a_file_becomes_a_task_in_their_order() {
    let served = Served::new().await;
    let lines: String = (0..2_500).map(|n| format!("{{\"n\": {n}}}\n")).collect();
    // Blank lines are none, and the last one may lack its end.
    let file = served.bench.path("tasks.jsonl");
    std::fs::write(&file, format!("\n{lines}  \n\"last\"")).unwrap();
    let printed = served.text(&["create-task", "jobs", "--file", file.to_str().unwrap(), "--delay=1h"]).await;
    assert_eq!(printed, "{\n  \"count\": 2501\n}\n");
    let list = served.json(&["tasks", "--limit=2"]).await;
    assert_eq!(list["count"], 2501);
    assert_eq!(
        (&list["body"][0]["payload"], &list["body"][1]["payload"]),
        (&json!({"n": 0}), &json!({"n": 1}))
    );
    assert!(list["body"][0]["delayed_at"].is_string());
    assert_eq!(served.json(&["tasks", "--offset=2500"]).await["body"][0]["payload"], "last");
}

#[tokio::test]
async fn lines_may_come_on_standard_input_and_be_whole_tasks() {
    let served = Served::new().await;
    served.json(&["create-queue", "other"]).await;
    let mut command = served.pgmill(&["create-task", "jobs", "--file", "-", "--task"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines =
        "{\"payload\": 1.50, \"priority\": 0}\n{\"payload\": null, \"queue\": \"other\", \"key\": \"k\"}\n";
    input.write_all(lines.as_bytes()).await.unwrap();
    drop(input);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, b"{\n  \"count\": 2\n}\n");
    let tasks = served.text(&["tasks", "--queue=jobs"]).await;
    assert!(tasks.contains("\"payload\": 1.50") && tasks.contains("\"priority\": 0"), "{tasks}");
    let other = served.json(&["tasks", "--queue=other"]).await;
    assert_eq!((&other["count"], &other["body"][0]["key"]), (&json!(1), &json!("k")));
}

#[tokio::test]
async fn the_first_bad_line_ends_it_and_is_named_and_all_before_it_are_created() {
    let served = Served::new().await;
    let file = served.bench.path("tasks.jsonl");
    let name = file.to_str().unwrap();
    let good = "{\"payload\": 1}\n".repeat(1_200);
    let mut created = 0;
    for (lines, options, message, count) in [
        // Found here.
        (format!("{good}{{bad\n{good}"), &[][..], "Error: line 1201: invalid JSON: ", 1_200),
        ("1\n\n\"\\u0000\"\n".to_owned(), &[], "Error: line 3: invalid JSON: \\u0000 cannot be stored", 1),
        (
            format!("{good}{{\"payload\": 1, \"delayed\": 1}}\n"),
            &["--task"],
            "Error: line 1201: it has the unknown key \"delayed\"",
            1_200,
        ),
        ("{}\n".to_owned(), &["--task"], "Error: line 1: missing payload; no task was created", 0),
        // Found by the server, in the midst of a request.
        (
            format!("{good}{{\"payload\": 1, \"queue\": \"nosuch\"}}\n{good}"),
            &["--task"],
            "Error: line 1201: ",
            1_200,
        ),
    ] {
        std::fs::write(&file, lines).unwrap();
        let refusal = served.refusal(&[&["create-task", "jobs", "--file", name], options].concat()).await;
        assert!(refusal.starts_with(message), "{refusal}");
        let told =
            if count == 1 { "; 1 task was".to_owned() } else { format!("; {count} tasks were created") };
        assert!(count == 0 || refusal.contains(&told), "{refusal}");
        created += count;
        assert_eq!(served.json(&["tasks", "--limit=1"]).await["count"], created, "{message}");
    }
    let refusal = served.refusal(&["create-task", "jobs", "--file", "/no/such/file"]).await;
    assert!(refusal.starts_with("Error: /no/such/file cannot be read"), "{refusal}");
}

/// A server that created the tasks, and could not look one of them up afterwards, says so with the index of that one.
#[tokio::test]
async fn tasks_that_may_have_been_created_are_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let body = r#"{"code":503,"reason":"Service Unavailable: who knows","detail":{"id":3,"index":2},"error":"outcome_unknown"}"#;
    let server = async {
        let mut asked = 0;
        loop {
            let mut stream = BufStream::new(listener.accept().await.unwrap().0);
            let (mut line, mut length) = (String::new(), 0);
            while stream.read_line(&mut line).await.unwrap() > 2 {
                let lower = line.to_ascii_lowercase();
                length =
                    lower.strip_prefix("content-length:").map_or(length, |it| it.trim().parse().unwrap());
                line.clear();
            }
            stream.read_exact(&mut vec![0; length]).await.unwrap();
            let head =
                "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-type: application/json";
            let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            asked += 1;
            assert_eq!(asked, 1, "the tasks are sent again");
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.jsonl");
    std::fs::write(&file, "1\n2\n3\n").unwrap();
    let args = ["create-task", "jobs", "--http.addr", &address, "--file", file.to_str().unwrap()];
    let refused = tokio::select! {
        refused = async { output(&mut pgmill(&args)).await } => refused,
        () = server => unreachable!("it goes on for ever"),
    };
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("lines 1 to 3: "), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("may have been created all the same"), "{}", stderr(&refused));
}
