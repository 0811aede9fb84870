//! The batch server of `docs/serving.md`, run.

#[path = "../examples/batch_server.rs"]
#[allow(dead_code)] // Its `main`.
mod batch_server;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use onnxcam::Model;
use onnxcam::engine::Choice::Auto;
use onnxcam::engine::{Search, choose};
use onnxcam::explain::Explainer;
use onnxcam::export::{ExportOptions, Exported};
use onnxcam::method::GradCamPlusPlus;
use serde_json::Value;
use testkit::Draw;
use testkit::models::tiny_cnn;

fn post(address: SocketAddr, body: &[u8]) -> (String, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), serde_json::from_str(text).unwrap())
}

/// Twenty requests at once get what the program says of each picture.
#[test]
fn the_batch_server_in_rust() {
    let folder = tempfile::tempdir().unwrap();
    let (net, explained) = (folder.path().join("net.onnx"), folder.path().join("explained.onnx"));
    std::fs::write(&net, tiny_cnn(17, 5).bytes()).unwrap();
    let model = Model::open(&net).unwrap();
    let settled = model.explain_with(&[&GradCamPlusPlus]).settle().unwrap();
    Exported::of(&model, &settled, &ExportOptions::default()).unwrap().save(&explained).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let file = explained.to_str().unwrap().to_owned();
    std::thread::spawn(move || batch_server::serve(listener, &file).unwrap());

    let pictures = Draw::new(7).uniform(&[20, 3, 16, 16]).mapv(|v| v as f32);
    let engine = choose(Auto, &Search::from_env(None)).unwrap().engine;
    let expected = Explainer::new(settled.plan(), &engine, 20, None).unwrap().run(&pictures, &[-1; 20]).unwrap();
    std::thread::scope(|scope| {
        for (picture, expected) in pictures.outer_iter().zip(&expected) {
            let body: Vec<u8> = picture.iter().flat_map(|v| v.to_le_bytes()).collect();
            scope.spawn(move || {
                let (status, answer) = post(address, &body);
                assert_eq!((status.as_str(), &answer["class"]), ("HTTP/1.1 200 OK", &expected.class.into()));
                let map = answer["map"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
                let found: Vec<f64> = map.map(|v| v.as_f64().unwrap()).collect();
                assert_eq!(found.len(), 64);
                let most = expected.maps[0].iter().fold(f32::MIN_POSITIVE, |m, v| m.max(*v));
                for (found, expected) in found.iter().zip(&expected.maps[0]) {
                    assert!((*found as f32 - expected).abs() <= 1e-5 * most, "{found} instead of {expected}");
                }
            });
        }
    });
    let (status, answer) = post(address, &[0; 12]);
    assert_eq!(status, "HTTP/1.1 400 Bad Request");
    assert!(answer["error"].as_str().unwrap().contains("[3, 16, 16]"), "{answer}");
}

/// What the page shows is what runs.
#[test]
fn the_page_shows_these_servers() {
    let page = include_str!("../../../docs/serving.md");
    for server in [include_str!("../examples/batch_server.rs"), include_str!("../../../examples/batch_server.py")] {
        assert!(page.contains(server), "docs/serving.md shows another server than this:\n{server}");
    }
}
