"""The networks of the survey: every convolutional classifier of torchvision, and timm's by family."""

from torchvision import models

# What torchvision has besides: detection, segmentation, video and quantised networks, which are no classifiers of pictures
# or no float networks, and these, which attend to tokens.
TRANSFORMERS = ("vit_", "swin_", "maxvit_")


def torchvision_names():
    """Every convolutional classifier of torchvision, then the smallest of each kind of transformer."""
    names = models.list_models(module=models)
    smallest = ["maxvit_t", "swin_t", "swin_v2_t", "vit_b_32"]
    return sorted(n for n in names if not n.startswith(TRANSFORMERS)) + smallest


# One or two of each convolutional family of timm, small ones where there is a choice.
TIMM = """
    resnet18 resnet18d resnet26t resnet10t resnetaa34d resnetblur18 resnext50_32x4d wide_resnet50_2 seresnet18
    ecaresnet26t gcresnet33ts resnest14d res2net50_26w_4s res2next50 skresnet18 resnetrs50 resnetv2_50 resnetv2_50x1_bit
    nf_resnet26 nf_regnet_b0 dm_nfnet_f0 eca_nfnet_l0 nf_ecaresnet26 nf_seresnet26
    regnetx_002 regnety_002 regnetz_b16 repvgg_a0 repvgg_b0 mobileone_s0 fastvit_t8
    efficientnet_b0 efficientnet_lite0 efficientnet_el efficientnet_es efficientnet_cc_b0_4e efficientnetv2_rw_t
    tf_efficientnet_b0 tf_efficientnetv2_b0 gc_efficientnetv2_rw_t
    mixnet_s tinynet_e mnasnet_100 semnasnet_075 mobilenetv1_100 mobilenetv2_050 mobilenetv3_small_100 mobilenetv4_conv_small
    fbnetc_100 fbnetv3_b spnasnet_100 hardcorenas_a lcnet_050 ghostnet_100 ghostnetv2_100 ghostnetv3_100 rexnet_100
    hrnet_w18_small dla34 dla46_c dpn48b densenet121 densenetblur121d vovnet39a ese_vovnet19b_dw
    cspresnet50 cspresnext50 cspdarknet53 darknet17 darknet53 cs3darknet_s selecsls42b
    xception41 legacy_xception inception_v3 inception_v4 inception_resnet_v2 inception_next_atto
    convnext_atto convnext_tiny convnextv2_atto convnext_zepto_rms convformer_s18 poolformer_s12 poolformerv2_s12
    convmixer_768_32 focalnet_tiny_srf hgnet_tiny hgnetv2_b0 gernet_s tresnet_m starnet_s1 mambaout_femto
    rdnet_tiny repghostnet_050 vgg11_bn bat_resnext26ts gcresnext26ts eca_resnext26ts
    seresnext26d_32x4d resnet33ts regnetv_040 mobilenet_edgetpu_100
""".split()

# Where attention over tokens or windows has a part: what happens is told apart from the rest.
TIMM_ATTENTION = """
    caformer_s18 edgenext_xx_small mobilevit_xxs mobilevitv2_050 efficientformer_l1 efficientvit_b0 efficientvit_m0
    swin_tiny_patch4_window7_224 pit_ti_224 xcit_nano_12_p16_224 mvitv2_tiny vit_tiny_patch16_224 deit_tiny_patch16_224
    coat_lite_tiny levit_128s mixer_s32_224 visformer_tiny maxvit_pico_rw_256 coatnet_pico_rw_224 crossvit_9_240
    halonet26t lambda_resnet26t repvit_m0_9 swiftformer_xs tiny_vit_5m_224 nextvit_small pvt_v2_b0 twins_pcpvt_small
""".split()
