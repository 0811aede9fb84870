//! Writes state dictionaries as PyTorch did before 1.6: pickles, then storages.

const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The file's bytes, for float32 tensors by name and shape.
pub fn encode<'a>(tensors: impl Iterator<Item = (String, &'a Vec<usize>, &'a Vec<f32>)>) -> Vec<u8> {
    let (mut file, mut keys, mut storages) = (Vec::new(), Vec::new(), Vec::new());
    pickle(&mut file, |p| p.extend([[0x8a, 10].as_slice(), &MAGIC].concat()));
    pickle(&mut file, |p| int(p, 1001));
    pickle(&mut file, |p| {
        p.push(b'}');
        text(p, "little_endian");
        p.extend([0x88, b's']); // True, set item
    });
    pickle(&mut file, |p| {
        p.extend(b"}(");
        for (i, (name, shape, elements)) in tensors.enumerate() {
            let key = i.to_string();
            text(p, &name);
            tensor(p, &key, shape, elements.len());
            text(&mut keys, &key);
            storages.extend((elements.len() as u64).to_le_bytes());
            storages.extend(elements.iter().flat_map(|e| e.to_le_bytes()));
        }
        p.push(b'u'); // set items
    });
    pickle(&mut file, |p| p.extend([b"](", keys.as_slice(), b"e"].concat()));
    file.extend(storages);
    file
}

/// `_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`
fn tensor(p: &mut Vec<u8>, key: &str, shape: &[usize], count: usize) {
    p.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    text(p, "storage");
    p.extend(b"ctorch\nFloatStorage\n");
    text(p, key);
    text(p, "cpu");
    int(p, count);
    p.extend(b"NtQ"); // no view; the tuple is the storage's persistent id
    int(p, 0);
    let strides = (0..shape.len()).map(|i| shape[i + 1..].iter().product());
    tuple(p, shape.iter().copied());
    tuple(p, strides);
    p.extend([0x89]); // False
    p.extend(b"ccollections\nOrderedDict\n)RtR");
}

fn pickle(file: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    file.extend([0x80, 2]); // protocol 2
    body(file);
    file.push(b'.');
}

fn int(p: &mut Vec<u8>, value: usize) {
    p.push(b'J');
    p.extend((value as i32).to_le_bytes());
}

fn text(p: &mut Vec<u8>, value: &str) {
    p.push(b'X');
    p.extend((value.len() as u32).to_le_bytes());
    p.extend(value.as_bytes());
}

fn tuple(p: &mut Vec<u8>, values: impl Iterator<Item = usize>) {
    p.push(b'(');
    values.for_each(|value| int(p, value));
    p.push(b't');
}
