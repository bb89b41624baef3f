import pytest

from training.config import ROOT, FitConfig, load_config
from training.trainer import Progress, learning_rate

CONFIGS = [ROOT / "training/configs" / f"{name}.toml" for name in ("tiny", "smoke")]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_load(path):
    config = load_config(path)
    assert config.latent_size * config.vae.factor == config.data.resolution


def test_an_unknown_setting_is_refused(tmp_path):
    text = (ROOT / "training/configs/tiny.toml").read_text()
    path = tmp_path / "typo.toml"
    path.write_text(text.replace("warmup", "warm").replace("[vae.fit]", "[vae.fit]\nbach = 3"))
    with pytest.raises(ValueError, match=r"vae\.fit.*bach"):
        load_config(path)


def test_a_run_without_samples_is_refused(tmp_path):
    path = tmp_path / "none.toml"
    path.write_text('name = "x"\nseed = 1\nfolder = "x"\n[vae.fit]\nsamples = 0\n')
    with pytest.raises(ValueError, match="samples"):
        load_config(path)


def test_a_run_ends_by_samples_or_by_minutes():
    fit = FitConfig(samples=100, minutes=1.0)
    assert Progress(samples=50, seconds=6.0).share(fit) == 0.5
    assert Progress(samples=50, seconds=60.0).share(fit) == 1.0


@pytest.mark.parametrize("shape", ["cosine", "linear"])
def test_the_rate_warms_up_stays_and_falls_to_zero(shape):
    fit = FitConfig(samples=100, lr=1.0, warmup=10, tail=0.4, shape=shape)
    assert learning_rate(fit, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(fit, 50, 0.5) == 1.0
    assert learning_rate(fit, 80, 0.8) == pytest.approx(0.5)
    assert learning_rate(fit, 99, 1.0) == 0.0
