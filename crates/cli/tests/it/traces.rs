//! Traces of `pgmill run` over OTLP.

use crate::support::{output, pgmill, stderr};

#[cfg(not(feature = "otel"))]
#[tokio::test]
async fn a_build_without_traces_says_so_rather_than_make_none() {
    for command in [&["run"][..], &["work", "jobs", "--", "true"]] {
        let mut command = pgmill(command);
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
            .env("DATABASE_URL", "postgres://127.0.0.1:1/x");
        let output = output(&mut command).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("--features otel"), "{}", stderr(&output));
    }
}

#[cfg(feature = "otel")]
mod sent {
    use pgmill_testkit::TestDatabase;
    use serde_json::Value;

    use super::{output, pgmill, stderr};
    use crate::collector::{Collector, Sent, SentSpan};
    use crate::support::{Bench, Program, QUEUE, stdout};

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const CLIENT: &str = "00f067aa0ba902b7";

    /// What a server sends to a collector for these requests, given as arguments of curl, and their answers.
    async fn traced(bench: &Bench, endpoint: &str, requests: &[&str]) -> Vec<String> {
        let mut command = pgmill(&["run", bench.database.url(), "--http.addr", "127.0.0.1:0"]);
        command.args(["--otel.endpoint", endpoint, "--otel.header", "x-team=mill,x-key=k"]);
        let mut server = Program::start(command.args(["--otel.name", "shop-queue"]));
        let line: Value = serde_json::from_str(&server.says("http server starting").await).unwrap();
        let address = line["addr"].as_str().unwrap();
        let mut answers = Vec::new();
        for request in requests {
            let request = request.replace("URL", &format!("http://{address}/api"));
            let mut shell = tokio::process::Command::new("sh");
            answers.push(stdout(&output(shell.args(["-c", &format!("curl -sS {request}")])).await));
        }
        // What has not been sent is sent at the end.
        server.stop().await;
        answers
    }

    fn spans(sent: &[Sent]) -> Vec<SentSpan> {
        sent.iter().flat_map(Sent::spans).collect()
    }

    fn named<'a>(spans: &'a [SentSpan], name: &str) -> &'a SentSpan {
        let mut found = spans.iter().filter(|span| span.name == name);
        let first = found.next().unwrap_or_else(|| panic!("no {name} in {spans:?}"));
        assert!(found.next().is_none(), "several {name}");
        first
    }

    #[tokio::test]
    async fn the_span_of_a_request_follows_its_client_and_is_told_by_its_route_without_its_query() {
        let bench = Bench::new().await;
        for by_grpc in [false, true] {
            let collector = Collector::start(by_grpc).await;
            let scheme = if by_grpc { "grpc" } else { "http" };
            let follows = format!("-H 'traceparent: 00-{TRACE}-{CLIENT}-01' 'URL/queue/jobs?token=geheim'");
            let requests = [follows.as_str(), "URL/queue/none"];
            traced(&bench, &format!("{scheme}://{}", collector.address), &requests).await;

            let sent = collector.sent();
            let first = sent.first().expect("a report");
            if by_grpc {
                assert_eq!(first.path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
            } else {
                assert_eq!(first.path, "/v1/traces");
            }
            assert_eq!(
                (&first.headers["x-team"], &first.headers["x-key"]),
                (&"mill".parse().unwrap(), &"k".parse().unwrap())
            );
            assert!(first.holds("shop-queue") && !sent.iter().any(|it| it.holds("geheim")));
            let spans: Vec<_> =
                spans(&sent).into_iter().filter(|span| span.name == "GET /api/queue/{name}").collect();
            let [known, unknown] = &spans[..] else { panic!("{spans:?}") };
            assert_eq!((known.trace.as_str(), known.parent.as_str()), (TRACE, CLIENT));
            assert!(unknown.trace != TRACE && unknown.parent.is_empty(), "{unknown:?}");
            for (span, path, status) in [(known, "jobs", 200), (unknown, "none", 404)] {
                for wanted in [
                    "http.request.method=GET",
                    "http.route=/api/queue/{name}",
                    &format!("url.path=/api/queue/{path}"),
                    &format!("http.response.status_code={status}"),
                ] {
                    assert!(span.attributes.iter().any(|it| it == wanted), "{wanted}: {span:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_task_carries_the_context_of_the_request_that_created_it_unless_it_brings_its_own() {
        let bench = Bench::new().await;
        let collector = Collector::start(false).await;
        let own = format!("00-{}-{CLIENT}-01", TRACE.replace('4', "5"));
        let follows =
            format!("-H 'traceparent: 00-{TRACE}-{CLIENT}-01' -H 'Content-Type: application/json' URL/task");
        let requests = [
            format!(r#"{follows} -d '{{"queue": "{QUEUE}", "payload": 1}}'"#),
            format!(r#"{follows} -d '{{"queue": "{QUEUE}", "payload": 2, "traceparent": "{own}"}}'"#),
        ];
        let requests: Vec<_> = requests.iter().map(String::as_str).collect();
        let answers = traced(&bench, &format!("http://{}/", collector.address), &requests).await;
        let given: Vec<String> = answers
            .iter()
            .map(|answer| {
                serde_json::from_str::<Value>(answer).unwrap()["traceparent"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(given[1], own);

        let spans = spans(&collector.sent());
        let created = spans.iter().find(|span| given[0] == format!("00-{}-{}-01", span.trace, span.id));
        let created = created.unwrap_or_else(|| panic!("no span is {} in {spans:?}", given[0]));
        assert_eq!((created.name.as_str(), created.trace.as_str()), ("pgmill.create_task", TRACE));
        let request = spans.iter().find(|span| span.id == created.parent).expect("the span of the request");
        assert_eq!((request.name.as_str(), request.parent.as_str()), ("POST /api/task", CLIENT));
    }

    #[tokio::test]
    async fn the_run_of_a_task_is_a_trace_of_its_own() {
        let bench = Bench::new().await;
        let collector = Collector::start(false).await;
        bench.create("1").await;
        let endpoint = format!("http://{}", collector.address);
        let options = ["--otel.endpoint", &endpoint, "--until-empty"];
        bench.work_until_empty(&options, "true").await;
        let spans = spans(&collector.sent());
        let run = named(&spans, "pgmill.run");
        assert!(
            run.parent.is_empty() && run.attributes.iter().any(|it| it == "pgmill.outcome=done"),
            "{run:?}"
        );
    }

    #[tokio::test]
    async fn a_collector_that_is_away_stops_no_request() {
        let bench = Bench::new().await;
        let answers = traced(&bench, "http://127.0.0.1:1", &["URL/queue/jobs"]).await;
        assert!(answers[0].contains(QUEUE), "{answers:?}");
    }

    #[tokio::test]
    async fn a_collector_that_cannot_be_meant_ends_the_program_with_2() {
        let database = TestDatabase::create().await;
        for (options, reason) in [
            (&["--otel.endpoint", "localhost"][..], "is no address of a collector"),
            (&["--otel.endpoint", "http://localhost:4318", "--otel.header", "x"], "name=value"),
        ] {
            let output = output(pgmill(&["run", database.url()]).args(options)).await;
            assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
            assert!(stderr(&output).contains(reason), "{}", stderr(&output));
        }
    }
}
