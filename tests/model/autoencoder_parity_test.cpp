// Autoencoders against stored outputs of the public code (shared/fixtures autoencoder_kl_*, taef2_*).
#include <gtest/gtest.h>

#include "sdg/model/autoencoder_kl.h"
#include "sdg/model/taesd.h"
#include "support/fixture.h"

using namespace sdg;
using namespace sdg::model;

namespace {

AutoencoderKl kl_of(const test::Fixture& fixture, int64_t groups, double scale) {
  LatentSpace space;
  space.scale = scale;
  return AutoencoderKl(kl_canonical_names(fixture.weights()), groups, space, at::kCPU, fixture.name);
}

Tensor photo_of(const test::Fixture& fixture) {
  const auto photo = fixture.in("photo");  // uint8 [H, W, C]
  return photo.permute({2, 0, 1}).unsqueeze(0).to(at::kFloat).div(127.5).sub(1);
}

}  // namespace

TEST(AutoencoderKlParity, DiffusersLayoutGivesThePublicOutputs) {
  test::for_each_fixture("diffusers_akl", [](test::Fixture& fixture) {
    const at::NoGradGuard no_grad;
    const auto net = kl_of(fixture, fixture.config.at("norm_num_groups"), fixture.config.at("scaling_factor"));
    EXPECT_EQ(net.space().channels, fixture.config.at("latent_channels"));
    const auto x = fixture.in("x");
    const auto moments = net.moments(x);
    const auto latents = net.encode(x);
    fixture.compare("moments", moments);
    fixture.compare("mean", latents.mean);
    fixture.compare("logvar", latents.logvar);
    fixture.compare("std", latents.std());
    const auto sample = latents.sample(fixture.in("noise"));
    fixture.compare("sample", sample);
    fixture.compare("latent_scaled", net.space().to_model(sample));
    fixture.compare("kl", latents.kl());
    fixture.compare("dec", net.decode(fixture.in("z")));
    fixture.compare("recon_mode", net.decode(latents.mean));
    fixture.expect_all_compared();
  });
}

TEST(AutoencoderKlParity, CompVisLayoutGivesThePublicOutputs) {
  test::for_each_fixture("sgfm_akl", [](test::Fixture& fixture) {
    const at::NoGradGuard no_grad;
    const auto net = kl_of(fixture, 32, fixture.config.at("scale_factor"));
    const auto moments = net.moments(fixture.in("x"));
    fixture.compare("moments", moments);
    const auto noise = fixture.in("noise");
    fixture.compare("sample", net.space().to_model(distribution_of_moments(moments).sample(noise)));
    const auto given = distribution_of_moments(fixture.in("moments_wide"));
    fixture.compare("sample_given_moments", net.space().to_model(given.sample(noise)));
    fixture.compare("dec", net.decode(net.space().from_model(fixture.in("z"))));
    fixture.expect_all_compared();
  });
}

TEST(TaesdParity, TheEncoderGivesThePublicOutputs) {
  test::for_each_fixture("tae_encoder", [](test::Fixture& fixture) {
    const at::NoGradGuard no_grad;
    const Taesd net(taesd_canonical_names(fixture.weights()), {}, at::kCPU, fixture.name);
    EXPECT_EQ(net.space().channels, fixture.config.at("latent_channels"));
    EXPECT_FALSE(net.has_decoder());
    const auto random = net.encode(fixture.in("rand") * 2 - 1).mean, photo = net.encode(photo_of(fixture)).mean;
    fixture.compare("rand.latent", random);
    fixture.compare("rand.scaled", latents_to_unit(random));
    fixture.compare("photo.latent", photo);
    fixture.compare("photo.scaled", latents_to_unit(photo));
    fixture.expect_all_compared();
  });
}

TEST(TaesdParity, TheDecoderGivesThePublicOutputs) {
  test::for_each_fixture("tae_decoder", [](test::Fixture& fixture) {
    const at::NoGradGuard no_grad;
    const Taesd net(taesd_canonical_names(fixture.weights()), {}, at::kCPU, fixture.name);
    EXPECT_FALSE(net.has_encoder());
    for (const std::string which : {"rand", "photo"})
      fixture.compare(which + ".image", (net.decode(fixture.in(which)) + 1) / 2);
    fixture.expect_all_compared();
  });
}
