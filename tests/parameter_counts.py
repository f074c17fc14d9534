"""How many parameters each bundled network has, counted by hand from the documents and their code."""

from itertools import pairwise

# Height x width x channels in, weights + biases; by hand from the documents and their upstream code.
CHAVAN = (
    (5 * 5 * 1 * 20 + 20)  # 520; 48 -> 44, pooled 22
    + (5 * 5 * 20 * 20 + 20)  # 10,020; 22 -> 18, pooled 9
    + (9 * 9 * 20 * 500 + 500)  # 810,500
    + (500 * 300 + 300)  # 150,300
    + (300 * 7 + 7)  # 2,107
)
CHAVAN_FIG4 = (
    (3 * 3 * 1 * 32 + 32)  # 320; 48 -> 46, pooled 23
    + (3 * 3 * 32 * 64 + 64)  # 18,496; 23 -> 21, pooled 10
    + (3 * 3 * 64 * 96 + 96)  # 55,392; 10 -> 8, pooled 4
    + (3 * 3 * 96 * 128 + 128)  # 110,720; 4 -> 2, pooled 1
    + (1 * 1 * 128 * 200 + 200)  # 25,800
    + (200 * 7 + 7)  # 1,407
)
CHAVAN_SECTION4A = (
    (32 * 32 * 1 * 32 + 32)  # 32,800; 48 -> 17, pooled 8
    + (3 * 3 * 32 * 64 + 64)  # 18,496; 8 -> 6, pooled 3
    + (3 * 3 * 64 * 200 + 200)  # 115,400
    + (200 * 7 + 7)  # 1,407
)
TETA = 160 + 4_640 + 18_496 + 524_800 + 3_591  # the summary that its notebook prints
BASANI = (
    (5 * 5 * 1 * 16 + 16)  # 416; 28, pooled 14
    + (5 * 5 * 16 * 16 + 16)  # 6,416; 14, pooled 7
    + (7 * 7 * 16 * 64 + 64)  # 50,240
    + (64 * 7 + 7)  # 455
)
ZHAQSYLYQ = (
    (3 * 3 * 1 * 32 + 32)  # 320; 48 -> 46, pooled 23
    + (3 * 3 * 32 * 64 + 64)  # 18,496; 23 -> 21, pooled 10
    + (3 * 3 * 64 * 128 + 128)  # 73,856; 10 -> 8, pooled 4
    + (4 * 4 * 128 * 512 + 512)  # 1,049,088
    + (512 * 7 + 7)  # 3,591
)
PERCEPTRON = (48 * 48 * 512 + 512) + (512 * 7 + 7)


def onghena(a: int, b: int, c: int, d: int, *, second_kernel: int = 3) -> tuple[int, int]:
    """(all, trainable) for filters a, b, c, d: four `same` convolutions, each pooled, 48 -> 24 -> 12 -> 6 -> 3."""
    convolutions = (9 * a + a) + (second_kernel**2 * a * b + b) + (9 * b * c + c) + (9 * c * d + d)
    dense = (3 * 3 * d * 256 + 256) + (256 * 512 + 512) + (512 * 7 + 7)
    normalised = a + b + c + d + 256 + 512  # each with scale and offset, and two running averages that are not trained
    return convolutions + dense + 4 * normalised, convolutions + dense + 2 * normalised


def conv(kernel: int, inputs: int, filters: int) -> int:
    return kernel**2 * inputs * filters + filters


def dense(inputs: int, units: int) -> int:
    return inputs * units + units


SERENGIL = (
    conv(5, 1, 64)  # 48 -> 44, pooled 20
    + 2 * conv(3, 64, 64)  # 18, 16, pooled 7
    + conv(3, 64, 128)  # 5
    + conv(3, 128, 128)  # 3, pooled 1
    + dense(128, 1024)
    + dense(1024, 1024)
    + dense(1024, 7)
)
ATULAPRA = (
    conv(3, 1, 32)  # 48 -> 46
    + conv(3, 32, 64)  # 44, pooled 22
    + conv(3, 64, 128)  # 20, pooled 10
    + conv(3, 128, 128)  # 8, pooled 4
    + dense(4 * 4 * 128, 1024)
    + dense(1024, 7)
)


def mini_xception() -> tuple[int, int]:
    """(all, trainable): two convolutions of 8 filters; four modules of two separable convolutions and a shortcut, each
    with batch norm; a convolution of 7 filters with a bias. No other layer has one."""
    filters = (8, 16, 32, 64, 128)
    kernels = 9 * 8 + 9 * 8 * 8 + 9 * 128 * 7 + 7
    normalised = 8 + 8
    for before, after in pairwise(filters):
        kernels += (9 * before + before * after) + (9 * after + after * after) + before * after
        normalised += 3 * after
    return kernels + 4 * normalised, kernels + 2 * normalised


def vgg19() -> tuple[int, int]:
    """(all, trainable): sixteen convolutions with biases and batch norm on three channels, and one dense layer."""
    filters = (3, 64, 64, 128, 128, *[256] * 4, *[512] * 8)
    kernels = sum(conv(3, before, after) for before, after in pairwise(filters)) + dense(512, 7)
    normalised = sum(filters[1:])
    return kernels + 4 * normalised, kernels + 2 * normalised


def khaireddin() -> tuple[int, int]:
    """(all, trainable): eight convolutions with biases and batch norm, in pairs; 2 x 2 x 512 features; 29.9 million."""
    filters = (1, 64, 64, 128, 128, 256, 256, 512, 512)
    kernels = sum(conv(3, before, after) for before, after in pairwise(filters))
    kernels += dense(2 * 2 * 512, 4096) + dense(4096, 4096) + dense(4096, 7)
    normalised = sum(filters[1:])
    return kernels + 4 * normalised, kernels + 2 * normalised


def cifar_resnet18() -> tuple[int, int]:
    """(all, trainable): one gray channel; four stages of two blocks; no biases but those of the last layer. PyTorch
    counts 11,171,271 trainable parameters."""
    kernels, normalised = 9 * 64, 64
    for before, after in pairwise((64, 64, 128, 256, 512)):
        kernels += 9 * before * after + 3 * 9 * after * after
        normalised += 4 * after
        if before != after:
            kernels, normalised = kernels + before * after, normalised + after
    kernels += dense(512, 7)
    return kernels + 4 * normalised, kernels + 2 * normalised


def resemotenet() -> tuple[int, int]:
    """(all, trainable): three colour channels, convolutions with biases; the squeeze to a sixteenth without."""
    kernels = sum(conv(3, before, after) for before, after in pairwise((3, 64, 128, 256))) + 2 * 256 * 16
    normalised = 64 + 128 + 256
    for before, after in pairwise((256, 512, 1024, 2048)):
        kernels += conv(3, before, after) + conv(3, after, after) + conv(1, before, after)
        normalised += 3 * after
    kernels += sum(dense(before, after) for before, after in pairwise((2048, 1024, 512, 256, 7)))
    return kernels + 4 * normalised, kernels + 2 * normalised


def tflearn_resnet32() -> tuple[int, int]:
    """(all, trainable): fifteen pre-activation blocks of 16, 32 and 64 filters with biases; bare shortcuts."""
    filters = (16, *[16] * 5, *[32] * 5, *[64] * 5)
    kernels = conv(3, 1, 16) + dense(64, 7)
    kernels += sum(conv(3, before, after) + conv(3, after, after) for before, after in pairwise(filters))
    normalised = sum(before + after for before, after in pairwise(filters)) + 64
    return kernels + 4 * normalised, kernels + 2 * normalised


def tang(first: int, second: int, kernel: int = 5) -> tuple[int, int]:
    side = ((48 - kernel + 1) // 2 - kernel + 1) // 2
    count = conv(kernel, 1, first) + conv(kernel, first, second)
    count += dense(side * side * second, 3072) + dense(3072, 7)
    return count, count


def fer_repro_small() -> tuple[int, int]:
    """(all, trainable): nine convolutions without biases, each normalised; bare shortcuts."""
    filters = (32, 48, 48, 80, 80, 80, 104, 104, 104)
    kernels = sum(9 * before * after for before, after in pairwise((1, *filters))) + dense(104, 7)
    return kernels + 4 * sum(filters), kernels + 2 * sum(filters)


COUNTS = {
    ("fer_repro_small", "default"): fer_repro_small(),
    ("serengil2018", "default"): (SERENGIL, SERENGIL),
    ("atulapra2019", "default"): (ATULAPRA, ATULAPRA),
    ("arriaga2017", "default"): mini_xception(),
    ("wujie2018", "default"): vgg19(),
    ("khaireddin2021", "default"): khaireddin(),
    ("lethesec2021", "default"): cifar_resnet18(),
    ("resemotenet2024", "default"): resemotenet(),
    ("safreita2017", "default"): tflearn_resnet32(),
    ("tang2013", "default"): tang(32, 64),
    ("tang2013", "wide"): tang(64, 128),
    ("tang2013", "small_kernels"): tang(32, 64, 3),
    ("chavan2020", "default"): (CHAVAN, CHAVAN),
    ("chavan2020", "fig4"): (CHAVAN_FIG4, CHAVAN_FIG4),
    ("chavan2020", "section4a"): (CHAVAN_SECTION4A, CHAVAN_SECTION4A),
    ("teta2022", "default"): (TETA, TETA),
    ("basani2017", "default"): (BASANI, BASANI),
    ("basani2017", "text"): (BASANI + (784 + 1 + 7) * (3136 - 64),) * 2,
    ("zhaqsylyq", "default"): (ZHAQSYLYQ, ZHAQSYLYQ),
    ("zhaqsylyq", "perceptron"): (PERCEPTRON, PERCEPTRON),
    ("onghena", "default"): onghena(64, 128, 1028, 512),
    ("onghena", "filters_64_256_256_512"): onghena(64, 256, 256, 512),
    ("onghena", "upstream"): onghena(64, 128, 512, 512, second_kernel=5),
}
