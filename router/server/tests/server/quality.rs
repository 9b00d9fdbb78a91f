use std::{sync::Arc, time::Duration};

use router::{Config, QualityNews, QualityQuestion, QualityRequest, RunRequest};
use router_server::{
    agents::{Beat, OwnedEvent, Script, ScriptSource, Scripted},
    quality::{QualityBackend, QualitySink},
};
use serde_json::{Value, json, value::to_raw_value};

use crate::harness::{TestServer, chat, kinds};

/// Ends at once: well, unless the request begins with `fail`.
struct Short;

impl ScriptSource for Short {
    fn script(&self, request: &RunRequest) -> Script {
        let text = request.text().to_owned();
        let end = if text.starts_with("fail") {
            OwnedEvent::Failed { code: "BROKEN".into(), message: "it broke".into() }
        } else {
            OwnedEvent::Completed { response: text.clone(), execution_time_ms: None }
        };
        let started = OwnedEvent::Started { agent: "short".into(), task: text };
        let beat = |event| Beat { at: Duration::ZERO, event };
        Script { beats: vec![beat(started), beat(end)] }
    }
}

async fn short() -> TestServer {
    TestServer::with(|config| config.agents = Arc::new(Scripted::new(Short))).await
}

fn message(kind: &str, payload: Value) -> String {
    json!({"type": kind, "message_id": kind, "payload": payload}).to_string()
}

#[tokio::test]
async fn metrics_and_reports_tell_of_the_runs_that_were() {
    let server = short().await;
    let (mut ada, mut tab) = (server.login("ada").await, server.login("ada").await);
    for n in 0..3 {
        ada.send(chat(&format!("m{n}"), "hello")).await;
        ada.until("agent_completed").await;
    }
    tab.until("agent_completed").await;
    ada.send(message("get_quality_metrics", json!({"agent_name": "short", "period_hours": 1}))).await;
    for client in [&mut ada, &mut tab] {
        let frames = client.until("quality_metrics").await;
        let reply = frames.last().expect("the reply");
        assert_eq!(reply["message_id"], "get_quality_metrics");
        assert_eq!(
            (&reply["payload"]["agent"], &reply["payload"]["total_runs"]),
            (&json!("short"), &json!(3))
        );
        assert_eq!(
            (&reply["payload"]["error_rate"], &reply["payload"]["availability"]),
            (&json!(0), &json!(100))
        );
    }
    ada.send(message("generate_quality_report", json!({"report_type": "detailed", "period": "week"}))).await;
    let reply = ada.until("quality_report_generated").await.pop().expect("the reply");
    let data = &reply["payload"]["raw_data"];
    assert_eq!(data["summary"]["agent_profiles"]["short"]["total_runs"], 3);
    assert_eq!(data["agents"]["TriageSubAgent"]["error"], "No data for agent TriageSubAgent");
    let text = reply["payload"]["report"].as_str().expect("Markdown");
    for part in ["# AI Quality Report\n", "**Type:** Detailed\n", "\"total_events\":3", "## Recent Alerts\n"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let metrics = server.get("/metrics").await;
    let line = "goldenpath_quality_questions_total{outcome=\"answered\"} 7\n";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn an_alert_reaches_both_tabs_of_a_subscriber_and_nobody_else() {
    let server = short().await;
    let (mut ada, mut tab) = (server.login("ada").await, server.login("ada").await);
    let (mut bob, mut eve) = (server.login("bob").await, server.login("eve").await);
    ada.send(message("subscribe_quality_alerts", json!({}))).await;
    for client in [&mut ada, &mut tab] {
        assert_eq!(client.json().await["payload"]["status"], "subscribed");
    }
    bob.send(chat("m1", "fail, please")).await;
    bob.until("agent_error").await;
    for client in [&mut ada, &mut tab] {
        let alert = client.json().await;
        assert_eq!(alert["type"], "quality_alert");
        assert_eq!(
            (&alert["payload"]["metric"], &alert["payload"]["severity"]),
            (&json!("error_rate"), &json!("error"))
        );
        assert_eq!(alert["payload"]["agent"], "short");
    }
    let (update, alert) = (to_raw_value(&json!([1])).unwrap(), to_raw_value(&json!({"a": 1})).unwrap());
    server.handle.publish_quality(QualityNews::Update(&update));
    server.handle.publish_quality(QualityNews::Alert(&alert));
    for client in [&mut ada, &mut tab] {
        assert_eq!(client.json().await, json!({"type": "quality_update", "payload": [1]}));
        assert_eq!(client.json().await["payload"], json!({"a": 1, "severity": "info"}));
    }
    ada.send(message("subscribe_quality_alerts", json!({"action": "unsubscribe"}))).await;
    ada.until("quality_alerts_unsubscribed").await;
    server.handle.publish_quality(QualityNews::Alert(&alert));
    for client in [&mut bob, &mut eve, &mut ada] {
        client.send(r#"{"type":"ping"}"#).await;
        let frames = client.until("pong").await;
        assert!(!kinds(&frames).iter().any(|kind| kind.starts_with("quality")), "{frames:?}");
    }
}

#[tokio::test]
async fn content_is_validated_and_strictness_reaches_the_gate() {
    let server = short().await;
    let mut ada = server.login("ada").await;
    let text = "In general 3 of the 40 nodes are probably slow, as best practices say; perhaps it might be their disks, maybe.";
    for (strict, passed) in [(false, true), (true, false)] {
        let payload = json!({"content": text, "content_type": "triage", "strict_mode": strict});
        ada.send(message("validate_content", payload)).await;
        let reply = ada.json().await;
        assert_eq!(reply["type"], "content_validation_result");
        let verdict = &reply["payload"];
        assert_eq!(
            (&verdict["passed"], &verdict["strict_mode"]),
            (&json!(passed), &json!(strict)),
            "{verdict}"
        );
        assert_eq!(verdict["issues"][0]["rule"], "hedging");
    }
}

#[tokio::test]
async fn a_gated_run_is_followed_by_its_verdict() {
    let server = short().await;
    let mut ada = server.login("ada").await;
    let payload = json!({"user_request": "TBD: lorem ipsum", "config": {"quality_gate": true}});
    ada.send(message("start_agent", payload)).await;
    let frames = ada.until("quality_update").await;
    assert_eq!(kinds(&frames), ["agent_started", "agent_completed", "quality_update"]);
    assert_eq!(frames[2]["payload"]["run_id"], frames[1]["run_id"]);
    assert_eq!(frames[2]["payload"]["verdict"]["passed"], false);
}

/// A host's own services: a gate that answers from another task, a monitor that fails, and one that never answers.
struct Own;

impl QualityBackend for Own {
    fn ask(&self, request: QualityRequest, sink: QualitySink) {
        let own = to_raw_value(&json!({"own": request.user.to_string()})).expect("JSON");
        tokio::spawn(async move {
            match request.question {
                QualityQuestion::Validate { .. } => sink.answer(&own),
                QualityQuestion::Dashboard => sink.fail(),
                QualityQuestion::AgentReport { .. } => {}
            }
        });
    }
}

#[tokio::test]
async fn a_host_may_answer_itself_and_its_failures_stay_inside() {
    let server = TestServer::with(|config| {
        config.quality = Some(Arc::new(Own));
        config.router = Config { quality_deadline_us: 50_000, ..config.router.clone() };
    })
    .await;
    let mut ada = server.login("ada").await;
    ada.send(message("validate_content", json!({}))).await;
    assert_eq!(ada.json().await["payload"], json!({"own": "ada"}));
    ada.send(message("get_quality_metrics", json!({}))).await;
    assert_eq!(ada.json().await["error_code"], "HANDLER_ERROR");
    ada.send(message("get_quality_metrics", json!({"agent_name": "a"}))).await;
    assert_eq!(ada.json().await["error_code"], "SERVICE_NOT_READY");
}
