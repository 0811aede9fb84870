//! Which PyTorch module a node comes from, as both exporters record it.

use crate::proto::NodeProto;

/// The path of the module, `layer4.1.relu`, or nothing.
///
/// The newer exporter writes `pkg.torch.onnx.name_scopes`, a list of ever longer paths, into the node's metadata. The
/// older names nodes `/layer4/layer4.1/relu_1/Relu`, where the child of a Sequential repeats its parent's name.
pub(crate) fn module_path(node: &NodeProto) -> String {
    let scopes = node.metadata_props.iter().find(|p| p.key.as_deref() == Some("pkg.torch.onnx.name_scopes"));
    if let Some(scopes) = scopes.and_then(|p| p.value.as_deref()) {
        let paths: Vec<&str> = scopes.split(['\'', '"']).skip(1).step_by(2).collect();
        return match paths.as_slice() {
            [modules @ .., _operator] => modules.last().copied().unwrap_or_default().to_owned(),
            [] => String::new(),
        };
    }
    let name = node.name.as_deref().unwrap_or("");
    let Some(scoped) = name.strip_prefix('/') else { return String::new() };
    let mut parts: Vec<&str> = scoped.split('/').collect();
    parts.pop(); // The operator.
    join_scopes(&parts)
}

fn join_scopes(parts: &[&str]) -> String {
    let mut path: Vec<&str> = Vec::new();
    for part in parts {
        let child_of_last =
            path.last().is_some_and(|last| part.strip_prefix(last).is_some_and(|rest| rest.starts_with('.')));
        if child_of_last {
            path.pop();
        }
        path.push(part);
    }
    path.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::StringStringEntryProto;

    fn named(name: &str) -> NodeProto {
        NodeProto { name: Some(name.to_owned()), ..Default::default() }
    }

    #[test]
    fn the_older_exporter() {
        assert_eq!(module_path(&named("/layer4/layer4.1/relu_1/Relu")), "layer4.1.relu_1");
        assert_eq!(module_path(&named("/features/features.1/conv/conv.0/conv.0.0/Conv")), "features.1.conv.0.0");
        assert_eq!(module_path(&named("/Flatten")), "");
        assert_eq!(module_path(&named("Conv_0")), "");
    }

    #[test]
    fn the_newer_exporter() {
        let value = "['', 'layer4', 'layer4.1', 'layer4.1.relu', 'relu_16']".to_owned();
        let key = "pkg.torch.onnx.name_scopes".to_owned();
        let metadata_props = vec![StringStringEntryProto { key: Some(key), value: Some(value) }];
        let node = NodeProto { metadata_props, ..named("node_relu_16") };
        assert_eq!(module_path(&node), "layer4.1.relu");
    }
}
