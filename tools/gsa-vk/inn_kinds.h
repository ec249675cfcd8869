/* The kinds of facts, by what they are of. */
#ifndef INN_KINDS_H
#define INN_KINDS_H

#include "inn.h"

extern const inn_kind inn_place, inn_price, inn_owner, inn_password;
extern const inn_kind inn_trade, inn_taste, inn_town, inn_clothes, inn_age;
extern const inn_kind inn_debt, inn_room, inn_arrival, inn_bag;
extern const inn_kind inn_pet, inn_kin, inn_name;

#endif
