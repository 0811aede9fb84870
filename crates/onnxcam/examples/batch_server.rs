//! A batch server for explained models: `cargo run --release --example batch_server explained.onnx 127.0.0.1:8000`.
//!
//! POST one input as little-endian float32; the answer is JSON: class and map. Requests that come while the engine runs go
//! into its next run together.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use ndarray::{ArrayD, Axis, IxDyn, stack};
use onnxcam::Model;
use onnxcam::engine::{Choice, Search, Session, Source, Value, choose};
use onnxcam::export::Document;

/// The most pictures of one run.
const BATCH: usize = 8;

/// A picture, and who waits for its answer.
type Request = (ArrayD<f32>, Sender<String>);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("which explained model?")?;
    let address = arguments.next().unwrap_or("127.0.0.1:8000".to_owned());
    serve(TcpListener::bind(address)?, &file)
}

/// Answers requests for as long as the program runs.
pub fn serve(listener: TcpListener, file: &str) -> Result<(), Box<dyn Error>> {
    let document = Document::of(Model::open(file)?.file())?;
    let shape: Vec<usize> = document.input.shape[1..].iter().filter_map(|d| Some(d.as_u64()? as usize)).collect();
    let engine = choose(Choice::Auto, &Search::from_env(None))?.engine;
    let session = engine.load(Source::File(file.as_ref()), None)?;
    let (requests, queue) = channel();
    std::thread::spawn(move || run(session, &document, &queue));
    for stream in listener.incoming() {
        let (requests, shape) = (requests.clone(), shape.clone());
        std::thread::spawn(move || stream.map(|stream| answer(stream, &requests, &shape)));
    }
    Ok(())
}

/// Takes what waits, at most a batch, and runs it.
fn run(mut session: Box<dyn Session>, document: &Document, queue: &Receiver<Request>) {
    let class = document.class.as_ref().map_or("", |class| &class.name);
    while let Ok(first) = queue.recv() {
        let (pictures, senders): (Vec<_>, Vec<_>) = [first].into_iter().chain(queue.try_iter().take(BATCH - 1)).unzip();
        let views: Vec<_> = pictures.iter().map(|p| p.view()).collect();
        let x = Value::from(stack(Axis(0), &views).expect("each has the network's shape"));
        let predicted = Value::from(ArrayD::from_elem(IxDyn(&[pictures.len()]), -1));
        let target = document.target.as_ref().map(|target| (target.name.as_str(), &predicted));
        let given: Vec<_> = [(document.input.name.as_str(), &x)].into_iter().chain(target).collect();
        let found = session.run(&given, &[class, &document.maps[0].output]);
        for (i, sender) in senders.iter().enumerate() {
            let text = match found.as_deref() {
                Ok([Value::I64(class), Value::F32(map)]) => {
                    let map = map.index_axis(Axis(0), i);
                    let rows: Vec<String> =
                        map.outer_iter().map(|row| format!("{:?}", row.iter().collect::<Vec<_>>())).collect();
                    format!(r#"{{"class":{},"map":[{}]}}"#, class[[i]], rows.join(","))
                }
                other => format!(r#"{{"error":{:?}}}"#, format!("{other:?}")),
            };
            let _ = sender.send(text); // Who has gone away needs no answer.
        }
    }
}

/// Reads one HTTP request and answers it.
fn answer(stream: TcpStream, requests: &Sender<Request>, shape: &[usize]) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    for line in reader.by_ref().lines() {
        let line = line?.to_ascii_lowercase();
        match line.split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse()?,
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    let expected = 4 * shape.iter().product::<usize>();
    let (status, text) = if length == expected {
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let floats = body.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let (sender, receiver) = channel();
        requests.send((ArrayD::from_shape_vec(shape, floats)?, sender))?;
        ("200 OK", receiver.recv()?)
    } else {
        ("400 Bad Request", format!(r#"{{"error":"the input is {shape:?} in float32, {expected} bytes"}}"#))
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", text.len());
    Ok((&stream).write_all((head + &text).as_bytes())?)
}
