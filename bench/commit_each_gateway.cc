// lp-gateway with one transaction for each registration, for lp-registration-bench to compare with.
#include "gateway/app/gateway_main.h"

int main(int argc, char** argv) {
  lp::gateway::app::Overrides overrides;
  overrides.commit_each_registration = true;
  return lp::gateway::app::gateway_main(argc, argv, overrides);
}
