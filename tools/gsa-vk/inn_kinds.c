/* What can be told and asked in the innkeeper's world. The order is in every seed: new kinds go to the end. */
#include "inn_kinds.h"

const inn_kind *const inn_kinds[INN_N_KINDS] = {&inn_place, &inn_debt, &inn_trade, &inn_room, &inn_taste, &inn_town,
    &inn_price, &inn_owner, &inn_pet, &inn_kin, &inn_arrival, &inn_password, &inn_clothes, &inn_name, &inn_bag,
    &inn_age};
